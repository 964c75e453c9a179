;; Guests that do not want to end: run(what, _) picks the way. None of them
;; may outlive its deadline.
(module $hostile
  (import "test" "nop" (func $nop))
  (import "test" "wait" (func $wait (param i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
  (memory (export "memory") 512)
  (table $ways 32 funcref)
  (table $bomb 1 externref)
  (elem (table $ways) (i32.const 0) func
    $spin $fibonacci $recurse $tail $indirect $fill $copy $sleep $block $nops
    $random $write $grow $grow_table $recurse_indirect $tail_indirect $two_to_the_n $switch $yield $fill_table
    $sleeps)
  (global $sink (mut i64) (i64.const 0))
  (type $way (func))

  (func (export "run") (param $what i32) (param $arg i32) (result i32)
    (call_indirect $ways (type $way) (local.get $what))
    (i32.const 0))

  ;; 0: a loop of nothing
  (func $spin (loop $again (br $again)))

  ;; 1: recursion without a loop, which never gets deep
  (func $fibonacci (drop (call $fib (i64.const 90))))
  (func $fib (param $n i64) (result i64)
    (if (result i64) (i64.lt_u (local.get $n) (i64.const 2))
      (then (local.get $n))
      (else (i64.add
        (call $fib (i64.sub (local.get $n) (i64.const 1)))
        (call $fib (i64.sub (local.get $n) (i64.const 2)))))))

  ;; 2: recursion without an end
  (func $recurse (drop (call $down (i64.const 0))))
  (func $down (param $n i64) (result i64)
    (i64.add (local.get $n) (call $down (i64.add (local.get $n) (i64.const 1)))))

  ;; 3: tail calls, which need neither loop nor stack
  (func $tail (return_call $tail_back))
  (func $tail_back (return_call $tail))

  ;; 4: a loop of indirect calls of an empty function
  (func $indirect (loop $again (call_indirect $ways (type $way) (i32.const 30)) (br $again)))
  (func $nothing)
  (elem (table $ways) (i32.const 30) func $nothing)

  ;; 5 and 6: bulk operations over 32 MiB
  (func $fill (loop $again
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 33554432))
    (br $again)))
  (func $copy (loop $again
    (memory.copy (i32.const 1) (i32.const 0) (i32.const 33554431))
    (br $again)))

  ;; 7: one sleep of an hour, relative, on the monotonic clock
  (func $sleep
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (drop (call $poll_oneoff (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256))))

  ;; 8: a blocking host function
  (func $block (call $wait (i32.const 3600000)))

  ;; 9: host functions
  (func $nops (loop $again (call $nop) (br $again)))

  ;; 10: random bytes, 32 MiB at a time
  (func $random (loop $again
    (drop (call $random_get (i32.const 0) (i32.const 33554432)))
    (br $again)))

  ;; 11: one write of four million buffers of 16 MiB
  (func $write
    (local $p i32)
    (loop $again
      (i32.store (local.get $p) (i32.const 0))
      (i32.store offset=4 (local.get $p) (i32.const 16777216))
      (local.set $p (i32.add (local.get $p) (i32.const 8)))
      (br_if $again (i32.lt_u (local.get $p) (i32.const 33554400))))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 4194300) (i32.const 33554420))))

  ;; 12: all the memory there is, again and again
  (func $grow (loop $again
    (drop (memory.grow (i32.const 1)))
    (memory.fill (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 65536)) (i32.const 1) (i32.const 65536))
    (br $again)))

  ;; 13: the same with a table, of which wazero has no limit
  (func $grow_table (loop $again
    (drop (table.grow $bomb (ref.null extern) (i32.const 50000000)))
    (br $again)))

  ;; 14 and 15: as 2 and 3, through a table
  (func $recurse_indirect (call_indirect $ways (type $way) (i32.const 14)) (call $touch))
  (func $touch (global.set $sink (i64.add (global.get $sink) (i64.const 1))))
  (func $tail_indirect (return_call_indirect $ways (type $way) (i32.const 15)))

  ;; 16: a call tree of functions that each look harmless
  (func $two_to_the_n (call $t60))
  (func $t60 (call $t50) (call $t50) (call $t50) (call $t50))
  (func $t50 (call $t40) (call $t40) (call $t40) (call $t40) (call $t40) (call $t40))
  (func $t40 (call $t30) (call $t30) (call $t30) (call $t30) (call $t30) (call $t30))
  (func $t30 (call $t20) (call $t20) (call $t20) (call $t20) (call $t20) (call $t20) (call $t20))
  (func $t20 (call $t10) (call $t10) (call $t10) (call $t10) (call $t10) (call $t10) (call $t10))
  (func $t10 (call $t9) (call $t9) (call $t9) (call $t9) (call $t9) (call $t9) (call $t9))
  (func $t9 (call $t8) (call $t8) (call $t8) (call $t8) (call $t8) (call $t8) (call $t8))
  (func $t8 (call $t7) (call $t7) (call $t7) (call $t7) (call $t7) (call $t7) (call $t7))
  (func $t7 (call $t6) (call $t6) (call $t6) (call $t6) (call $t6) (call $t6) (call $t6))
  (func $t6 (call $t5) (call $t5) (call $t5) (call $t5) (call $t5) (call $t5) (call $t5))
  (func $t5 (call $t4) (call $t4) (call $t4) (call $t4) (call $t4) (call $t4) (call $t4))
  (func $t4 (call $t3) (call $t3) (call $t3) (call $t3) (call $t3) (call $t3) (call $t3))
  (func $t3 (call $touch) (call $touch) (call $touch) (call $touch) (call $touch) (call $touch))

  ;; 17: a loop that goes back through br_table
  (func $switch (local $n i32)
    (loop $again
      (local.set $n (i32.and (i32.add (local.get $n) (i32.const 1)) (i32.const 1)))
      (br_table $again $again $again (local.get $n))))

  ;; 18: yields
  (func $yield (loop $again (drop (call $sched_yield)) (br $again)))

  ;; 19: bulk operations on a table
  (func $fill_table (loop $again
    (table.fill $ways (i32.const 0) (ref.null func) (i32.const 32))
    (br $again)))

  ;; 20: many short sleeps
  (func $sleeps
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 100000))
    (loop $again
      (drop (call $poll_oneoff (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 256)))
      (br $again))))
