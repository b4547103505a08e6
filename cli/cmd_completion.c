/* SPDX-License-Identifier: Apache-2.0 */
/* `ops completion`: scripts for shells, which ask `ops completion words` at each key. */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "complete.h"
#include "verbs.h"

/* bash divides words at = and :, which belong to ours; only what stands behind the last of them
 * is replaced. */
static const char bash_script[] =
    "# bash completion for ops: source <(ops completion bash)\n"
    "_ops() {\n"
    "    local rest=${COMP_LINE:0:COMP_POINT} word words=() i apart cur reply more=none\n"
    "    for ((i = 0; i <= COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]} apart=\n"
    "        while [[ $rest == [[:space:]]* ]]; do rest=${rest:1} apart=1; done\n"
    "        [ $i -lt $COMP_CWORD ] || word=$rest\n"
    "        if [ -z \"$apart\" ] && [ $i -gt 0 ]; then\n"
    "            words[${#words[@]}-1]+=$word\n"
    "        else\n"
    "            words+=(\"$word\")\n"
    "        fi\n"
    "        rest=${rest:${#word}}\n"
    "    done\n"
    "    cur=${words[${#words[@]}-1]}\n"
    "    COMPREPLY=()\n"
    "    while IFS=$'\\t' read -r reply _; do\n"
    "        case $reply in\n"
    "        :*) more=${reply#:} ;;\n"
    "        *) COMPREPLY+=(\"$reply\") ;;\n"
    "        esac\n"
    "    done < <(\"${words[0]}\" completion words -- \"${words[@]:1}\" 2>/dev/null)\n"
    "    local prefix=${cur%\"${cur##*[=:]}\"}\n"
    "    if [ -n \"$prefix\" ] && [[ $COMP_WORDBREAKS == *[=:]* ]]; then\n"
    "        COMPREPLY=(\"${COMPREPLY[@]#\"$prefix\"}\")\n"
    "    fi\n"
    "    case $more in\n"
    "    files) compopt -o filenames 2>/dev/null\n"
    "        while read -r reply; do COMPREPLY+=(\"$reply\"); done < <(compgen -f -- "
    "\"${cur##*=}\") ;;\n"
    "    dirs) compopt -o filenames 2>/dev/null\n"
    "        while read -r reply; do COMPREPLY+=(\"$reply\"); done < <(compgen -d -- "
    "\"${cur##*=}\") ;;\n"
    "    esac\n"
    "    [[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *:/ ]] || compopt -o nospace 2>/dev/null\n"
    "}\n"
    "complete -F _ops ops\n";

static const char zsh_script[] =
    "#compdef ops\n"
    "# zsh completion for ops: ops completion zsh >~/.zfunc/_ops\n"
    "_ops() {\n"
    "    local -a offers\n"
    "    local reply word text more=none\n"
    "    while IFS=$'\\t' read -r word text; do\n"
    "        case $word in\n"
    "        :*) more=${word#:} ;;\n"
    "        *) offers+=(\"${word//:/\\\\:}:$text\") ;;\n"
    "        esac\n"
    "    done < <(\"${words[1]}\" completion words -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
    "    [ ${#offers} -eq 0 ] || _describe ops offers\n"
    "    case $more in\n"
    "    files) compset -P '*='; _files ;;\n"
    "    dirs) compset -P '*='; _files -/ ;;\n"
    "    esac\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _ops ]; then _ops; else compdef _ops ops; fi\n";

static const char fish_script[] =
    "# fish completion for ops: ops completion fish >~/.config/fish/completions/ops.fish\n"
    "function __ops_words\n"
    "    set -l words (commandline -opc) (commandline -ct)\n"
    "    set -l current (commandline -ct)\n"
    "    for line in ($words[1] completion words -- $words[2..-1] 2>/dev/null)\n"
    "        switch $line\n"
    "            case ':files'\n"
    "                __fish_complete_path $current\n"
    "            case ':dirs'\n"
    "                __fish_complete_directories $current\n"
    "            case ':*'\n"
    "            case '*'\n"
    "                echo $line\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c ops -f -a '(__ops_words)'\n";

static bool script_print(const char *text)
{
    fputs(text, stdout);
    return true;
}

static bool bash_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    (void)r, (void)operands, (void)count, (void)status, (void)err;
    return script_print(bash_script);
}

static bool zsh_run(const struct verb_request *r, char **operands, size_t count, int *status,
                    struct err *err)
{
    (void)r, (void)operands, (void)count, (void)status, (void)err;
    return script_print(zsh_script);
}

static bool fish_run(const struct verb_request *r, char **operands, size_t count, int *status,
                     struct err *err)
{
    (void)r, (void)operands, (void)count, (void)status, (void)err;
    return script_print(fish_script);
}

static bool words_run(const struct verb_request *r, char **operands, size_t count, int *status,
                      struct err *err)
{
    static const char *const more[] = {
        [COMPLETE_NOTHING] = "none", [COMPLETE_FILES] = "files", [COMPLETE_DIRS] = "dirs"};
    struct strlist pairs = {0};
    (void)r, (void)status, (void)err;
    enum complete_more rest = complete_words(operands, count, &pairs);
    for (size_t i = 0; i + 1 < pairs.count; i += 2)
        printf("%s\t%s\n", pairs.items[i], pairs.items[i + 1]);
    printf(":%s\n", more[rest]);
    strlist_free(&pairs);
    return true;
}

static const struct verb completion_verbs[] = {
    {"bash", "bash", "print the script: source <(ops completion bash)", NULL, 0, 0, 0, bash_run},
    {"zsh", "zsh", "print the script: a file _ops in $fpath", NULL, 0, 0, 0, zsh_run},
    {"fish", "fish", "print the script: completions/ops.fish", NULL, 0, 0, 0, fish_run},
    {"words", "words -- WORD...", "print what the last word could become", NULL, 0, 0, SIZE_MAX,
     words_run},
};

static const struct verb_family family = {.verbs = completion_verbs,
                                          .count =
                                              sizeof completion_verbs / sizeof completion_verbs[0],
                                          .names = NAMES_FILES};

static bool run(const struct command *self, char **words, int *status, struct err *err)
{
    return verbs_run(self, &family, words, status, err);
}

const struct command cmd_completion = {
    .name = "completion",
    .usage = "completion SHELL",
    .summary = "completion for bash, zsh and fish",
    .text =
        "The scripts ask `ops` at each key, so they are never older than it: commands, options,\n"
        "values, names of instances and volumes. `words` prints a line each, a tab and its\n"
        "description behind it, and last :files, :dirs or :none, what else could stand there.\n",
    .verbs = &family,
    .run = run,
};
