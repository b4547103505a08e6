#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Language runtimes: threads, garbage collection, native calls; output and status equal to
# the host's. A runtime that is not installed is skipped.
. "$(dirname "$0")/lib.sh"

E2E_LIMIT=120

need() { # COMMAND
    command -v "$1" >/dev/null || skip "no $1"
}

# like_host_with OPTIONS PROGRAM ARGUMENT...: as like_host, with this directory in the image.
like_host_with() {
    local options=$1 want status
    shift
    printf '{"MapDirs": {"%s": "%s"}}' "$T" "$T" >map.json
    want=$("$@" 2>host-err </dev/null)
    status=$?
    # shellcheck disable=SC2086
    ops run -c map.json $options "$@"
    want_status $status
    want_out "$want"
}

test_go() {
    need go
    cat >hello.go <<'END'
package main

import (
	"fmt"
	"runtime"
	"sync"
	"time"
)

func recovered() (r string) {
	defer func() { r = fmt.Sprint(recover()) }()
	var p *int
	*p = 1
	return "no"
}

func main() {
	var wg sync.WaitGroup
	var mu sync.Mutex
	n, sum := 0, 0
	for i := 0; i < 1000; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := 0; j < 100; j++ {
				mu.Lock()
				n++
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	ch := make(chan int)
	go func() {
		for i := 0; i < 1000; i++ {
			ch <- i
		}
		close(ch)
	}()
	for v := range ch {
		sum += v
	}
	var keep [][]byte
	for i := 0; i < 2000; i++ {
		b := make([]byte, 100000)
		if i%100 == 0 {
			keep = append(keep, b)
		}
	}
	go func() {
		for {
		}
	}()
	time.Sleep(20 * time.Millisecond)
	runtime.GC() // must stop the busy loop
	<-time.NewTimer(5 * time.Millisecond).C
	fmt.Println(n, sum, len(keep), recovered())
}
END
    CGO_ENABLED=0 go build -o hello hello.go || fail "cannot compile"
    like_host_with "" "$T/hello"
    like_host_with "--smp 2" "$T/hello"
}

test_rust() {
    need rustc
    cat >work.rs <<'END'
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    let total = Arc::new(Mutex::new(0u64));
    let hits = Arc::new(AtomicUsize::new(0));
    let barrier = Arc::new(Barrier::new(16));
    let threads: Vec<_> = (0..16u64)
        .map(|i| {
            let (total, hits, barrier) = (total.clone(), hits.clone(), barrier.clone());
            thread::Builder::new().name(format!("worker-{}", i)).spawn(move || {
                barrier.wait();
                for j in 0..1000 {
                    *total.lock().unwrap() += i * j;
                    hits.fetch_add(1, Ordering::Relaxed);
                }
                thread::current().name().unwrap().len()
            }).unwrap()
        })
        .collect();
    let names: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
    println!("{} {} {}", *total.lock().unwrap(), hits.load(Ordering::SeqCst), names);

    let (tx, rx) = mpsc::sync_channel(4);
    for id in 0..4 {
        let tx = tx.clone();
        thread::spawn(move || (0..250).for_each(|n| tx.send(id * 1000 + n).unwrap()));
    }
    drop(tx);
    println!("{}", rx.iter().sum::<i32>());

    let map = RwLock::new(HashMap::new());
    thread::scope(|s| {
        for i in 0..8 {
            let map = &map;
            s.spawn(move || { map.write().unwrap().insert(i, i * i); });
        }
    });
    println!("{}", map.read().unwrap().values().sum::<i32>());

    let pair = (Mutex::new(false), Condvar::new());
    let timed_out = pair.1.wait_timeout(pair.0.lock().unwrap(), Duration::from_millis(20)).unwrap().1.timed_out();
    let start = Instant::now();
    thread::sleep(Duration::from_millis(5));
    println!("{} {}", timed_out, start.elapsed() >= Duration::from_millis(5));
    thread_local!(static LOCAL: std::cell::Cell<u32> = std::cell::Cell::new(7));
    let caught = thread::spawn(|| { LOCAL.with(|l| l.set(8)); panic!("expected") }).join().is_err();
    println!("{} {}", caught, LOCAL.with(|l| l.get()));
    std::process::exit(thread::available_parallelism().map_or(99, |_| 23));
}
END
    rustc -O work.rs 2>rustc-err || fail "cannot compile: $(head -c 300 rustc-err)"
    like_host_with "" "$T/work"
    like_host_with "--smp 2" "$T/work"
}

java_class() {
    need javac
    cat >Hello.java <<'END'
import java.util.*;

public class Hello {
    static int deep(int i) { return deep(i + 1) + 1; }

    public static void main(String[] args) throws Exception {
        Thread[] threads = new Thread[200];
        int[] n = {0};
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(() -> { synchronized (n) { n[0]++; } });
            threads[i].start();
        }
        for (Thread t : threads) t.join();
        List<byte[]> keep = new ArrayList<>();
        for (int i = 0; i < 3000; i++) {
            byte[] b = new byte[100000];
            if (i % 100 == 0) keep.add(b);
        }
        System.gc();
        System.out.println(n[0] + " " + keep.size());
        try { Object o = null; o.toString(); } catch (NullPointerException e) { System.out.println("null"); }
        try { deep(0); } catch (StackOverflowError e) { System.out.println("stack"); }
        if (args.length > 0) throw new RuntimeException(args[0]);
    }
}
END
    javac Hello.java || fail "cannot compile"
}

test_java_interpreter() { java_class && like_host_with "-m 1G" /usr/bin/java -Xint -Xmx64m -cp "$T" Hello; }
test_java_c1() { java_class && like_host_with "-m 1G" /usr/bin/java -XX:TieredStopAtLevel=1 -Xmx64m -cp "$T" Hello; }
test_java_c2() { java_class && like_host_with "-m 1G --smp 2" /usr/bin/java -XX:-TieredCompilation -Xmx64m -cp "$T" Hello; }
test_java_uncaught() { java_class && like_host_with "-m 1G" /usr/bin/java -Xmx64m -cp "$T" Hello boom; }

test_node() {
    need node
    cat >work.js <<'END'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto'), zlib = require('zlib');
if (!isMainThread) {
    let x = 0;
    for (let i = 0; i < 1e5; i++) x += i % 7;
    parentPort.postMessage(workerData + x);
} else {
    let done = 0, sum = 0;
    for (let i = 0; i < 4; i++)
        new Worker(__filename, { workerData: i }).on('message', m => {
            sum += m;
            if (++done < 4) return;
            console.log(sum, zlib.gunzipSync(zlib.gzipSync(Buffer.alloc(100000, 65))).length);
            console.log(crypto.createHash('sha256').update('x').digest('hex'));
            crypto.pbkdf2('a', 'b', 1000, 16, 'sha1', (e, k) => {
                console.log(k.toString('hex'));
                setTimeout(() => console.log('timer'), 20);
            });
        });
}
END
    like_host_with "-m 1G" "$(command -v node)" "$T/work.js"
    like_host_with "-m 1G --smp 2" "$(command -v node)" "$T/work.js"
}

test_python() {
    [ -x /usr/bin/python3 ] || skip "no python3"
    cat >work.py <<'END'
import concurrent.futures, ctypes, hashlib, mmap, tempfile, threading, zlib
libc = ctypes.CDLL(None)
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
a = (ctypes.c_int * 5)(5, 1, 4, 2, 3)
libc.qsort(a, 5, 4, compare(lambda x, y: x[0] - y[0]))
print(libc.abs(-5), list(a))
m = mmap.mmap(-1, 1 << 20)
m[5] = 65
m.resize(1 << 21)
print(m[5], len(m))
with tempfile.TemporaryFile() as f:
    f.truncate(8192)
    mm = mmap.mmap(f.fileno(), 8192)
    mm[:5] = b'hello'
    mm.flush()
    print(f.read(5))
with concurrent.futures.ThreadPoolExecutor(8) as ex:
    print(sum(ex.map(lambda i: i * i, range(1000))))
threads = [threading.Thread(target=lambda: None) for _ in range(100)]
for t in threads: t.start()
for t in threads: t.join()
print(hashlib.sha256(b'x').hexdigest(), len(zlib.compress(b'a' * 100000)), len(bytearray(64 << 20)))
END
    like_host_with "" /usr/bin/python3 "$T/work.py"
    like_host_with "--smp 2" /usr/bin/python3 "$T/work.py"
}

test_ruby() {
    need ruby
    like_host_with "" "$(command -v ruby)" -e 'require "json"; require "digest"
p (1..50).map { |i| Thread.new { sleep 0.01; i * 2 } }.map(&:value).sum
a = (1..200000).map(&:to_s); GC.start
puts a.size, JSON.dump({a: 1}), Digest::SHA256.hexdigest("x")'
}

test_php() {
    need php
    like_host_with "" "$(command -v php)" -r \
        'echo array_sum(range(1, 100)), json_encode(["a" => 1]), hash("sha256", "x"), date("Y", 0), "\n";'
}

test_guile() {
    need guile
    like_host_with "" "$(command -v guile)" -c \
        '(use-modules (ice-9 threads)) (display (par-map (lambda (x) (* x x)) (iota 10)))'
}

test_perl() {
    need perl
    like_host_with "" "$(command -v perl)" -MPOSIX -MDigest::SHA=sha256_hex -e \
        'my %h = map { $_ => 1 } 1 .. 100000; print scalar(keys %h), strftime("%Y", gmtime(0)), sha256_hex("x"), "\n"'
}

e2e_main "$@"
