;; A well-behaved guest: each export does one thing that a test looks at.
(module $reactor
  (import "test" "nop" (func $nop))
  (import "test" "fail" (func $fail (param i32)))
  (import "test" "wait" (func $wait (param i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $calls (mut i32) (i32.const 0))
  (global $initialized (mut i32) (i32.const 0))
  (data (i32.const 64) "hello from the guest\n")

  (func (export "_initialize") (global.set $initialized (i32.const 7)))

  ;; run(what, argument) -> result
  (func (export "run") (param $what i32) (param $arg i32) (result i32)
    (if (i32.eq (local.get $what) (i32.const 0))
      (then (return (local.get $arg))))
    (if (i32.eq (local.get $what) (i32.const 1)) ;; count the calls of this instance
      (then
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (return (global.get $calls))))
    (if (i32.eq (local.get $what) (i32.const 2)) ;; one host function
      (then (call $nop) (return (i32.const 0))))
    (if (i32.eq (local.get $what) (i32.const 3)) ;; a host function that fails
      (then (call $fail (local.get $arg)) (return (i32.const 0))))
    (if (i32.eq (local.get $what) (i32.const 4)) ;; a blocking host function, arg milliseconds
      (then (call $wait (local.get $arg)) (return (i32.const 0))))
    (if (i32.eq (local.get $what) (i32.const 5))
      (then (call $deep)))
    (if (i32.eq (local.get $what) (i32.const 6)) ;; read memory at arg
      (then (return (i32.load (local.get $arg)))))
    (if (i32.eq (local.get $what) (i32.const 7)) ;; grow memory by arg pages
      (then (return (memory.grow (local.get $arg)))))
    (if (i32.eq (local.get $what) (i32.const 8))
      (then (call $proc_exit (local.get $arg))))
    (if (i32.eq (local.get $what) (i32.const 9)) ;; a line on standard output, arg times
      (then
        (loop $again
          (i32.store (i32.const 0) (i32.const 64))
          (i32.store (i32.const 4) (i32.const 21))
          (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
          (local.set $arg (i32.sub (local.get $arg) (i32.const 1)))
          (br_if $again (i32.gt_s (local.get $arg) (i32.const 0))))
        (return (i32.const 0))))
    (if (i32.eq (local.get $what) (i32.const 10))
      (then (return (global.get $initialized))))
    (if (i32.eq (local.get $what) (i32.const 11)) ;; divide by arg
      (then (return (i32.div_s (i32.const 1) (local.get $arg)))))
    (if (i32.eq (local.get $what) (i32.const 12)) ;; arg host functions
      (then
        (loop $again
          (call $nop)
          (local.set $arg (i32.sub (local.get $arg) (i32.const 1)))
          (br_if $again (i32.gt_s (local.get $arg) (i32.const 0))))
        (return (i32.const 0))))
    (if (i32.eq (local.get $what) (i32.const 13)) ;; grow, and give up when refused
      (then
        (if (i32.eq (memory.grow (local.get $arg)) (i32.const -1)) (then (unreachable)))
        (return (memory.size))))
    (if (i32.eq (local.get $what) (i32.const 14)) ;; random bytes, as an i32
      (then
        (drop (call $random_get (i32.const 128) (i32.const 4)))
        (return (i32.load (i32.const 128)))))
    (if (i32.eq (local.get $what) (i32.const 15)) ;; count, then trap
      (then
        (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
        (unreachable)))
    (i32.const -1))

  (func $deep (call $deeper))
  (func $deeper (unreachable))

  (func (export "memory_size") (result i32) (memory.size)))
