/* SPDX-License-Identifier: Apache-2.0 */
/* The red-black tree under random insertions and removals, its rules checked each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "lib/rbtree.h"

#define NODES 200

struct item {
    struct rb_node node;
    int key, max; /* greatest key below */
    bool in;
};

static void update(struct rb_node *n);
static struct rb_root root = {NULL, update};
static struct item items[NODES];

static int max_of(const struct rb_node *n)
{
    return n ? RB_ENTRY(n, struct item, node)->max : -1;
}

static int max_here(const struct rb_node *n)
{
    int key = RB_ENTRY(n, struct item, node)->key, left = max_of(n->left), right = max_of(n->right);
    int below = left > right ? left : right;
    return key > below ? key : below;
}

static void update(struct rb_node *n)
{
    RB_ENTRY(n, struct item, node)->max = max_here(n);
}

static void insert(struct item *it)
{
    struct rb_node *parent = NULL, **link = &root.node;
    while (*link) {
        parent = *link;
        link = it->key < RB_ENTRY(parent, struct item, node)->key ? &parent->left : &parent->right;
    }
    rb_link(&it->node, parent, link);
    rb_insert(&root, &it->node);
    it->in = true;
}

/* Black height; fails on a red child of a red node or a wrong parent link. */
static int check(const struct rb_node *n, const struct rb_node *parent)
{
    if (!n)
        return 1;
    assert_ptr_equal(n->parent, parent);
    assert_false(n->red && parent && parent->red);
    int left = check(n->left, n), right = check(n->right, n);
    assert_int_equal(left, right);
    assert_int_equal(max_of(n), max_here(n));
    return left + !n->red;
}

static void check_order(void)
{
    int count = 0, expected = 0, last = INT32_MIN;
    for (int i = 0; i < NODES; i++)
        expected += items[i].in;
    for (struct rb_node *n = rb_first(&root); n; n = rb_next(n), count++) {
        assert_true(RB_ENTRY(n, struct item, node)->key >= last);
        last = RB_ENTRY(n, struct item, node)->key;
    }
    assert_int_equal(count, expected);
    for (struct rb_node *n = rb_last(&root); n; n = rb_prev(n))
        count--;
    assert_int_equal(count, 0);
}

static void random_operations(void **state)
{
    (void)state;
    srand(7);
    for (int step = 0; step < 20000; step++) {
        struct item *it = &items[rand() % NODES];
        if (it->in) {
            rb_remove(&root, &it->node);
            it->in = false;
        } else {
            it->key = rand() % 100;
            insert(it);
        }
        assert_false(root.node && root.node->red);
        check(root.node, NULL);
        if (step % 50 == 0)
            check_order();
    }
}

static void empty_tree(void **state)
{
    (void)state;
    struct rb_root none = {NULL, NULL};
    assert_null(rb_first(&none));
    assert_null(rb_last(&none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_operations),
                                       cmocka_unit_test(empty_tree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
