;; A guest that leaves traces wherever it can, to see that no later call finds
;; them.
(module $scribble
  (import "test" "nop" (func $nop))
  (import "test" "wait" (func $wait (param i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 48) ;; 3 MiB
  (global $i32 (mut i32) (i32.const 1))
  (global $i64 (mut i64) (i64.const -2))
  (global $f32 (mut f32) (f32.const 3))
  (global $f64 (mut f64) (f64.const -4))
  (global $started (mut i32) (i32.const 0))
  (data (i32.const 100) "a secret of nobody")
  (data (i32.const 1000000) "more data")

  ;; Grows, and writes what the image has to hold.
  (func (export "_initialize")
    (drop (memory.grow (i32.const 1)))
    (memory.fill (i32.const 3145000) (i32.const 7) (i32.const 9000))
    (global.set $started (i32.const 1)))

  ;; run(what, at): writes 5000 bytes at a place and changes all globals, then
  ;; ends in one of several ways.
  (func (export "run") (param $what i32) (param $at i32) (result i32)
    (if (i32.eq (local.get $what) (i32.const 100)) (then (return (call $check))))
    (memory.fill (local.get $at) (i32.const 0xaa) (i32.const 5000))
    (global.set $i32 (local.get $at))
    (global.set $i64 (i64.extend_i32_s (local.get $at)))
    (global.set $f32 (f32.convert_i32_s (local.get $at)))
    (global.set $f64 (f64.convert_i32_s (local.get $at)))
    (global.set $started (i32.const 2))
    (if (i32.eq (local.get $what) (i32.const 1)) (then (unreachable)))
    (if (i32.eq (local.get $what) (i32.const 2)) (then (loop $ever (br $ever))))
    (if (i32.eq (local.get $what) (i32.const 3)) (then (drop (memory.grow (i32.const 1)))))
    (if (i32.eq (local.get $what) (i32.const 4)) (then (memory.fill (i32.const 0) (i32.const 0xbb) (i32.const 3211264))))
    (if (i32.eq (local.get $what) (i32.const 5)) (then (call $wait (i32.const 1000))))
    (if (i32.eq (local.get $what) (i32.const 6)) (then (call $proc_exit (i32.const 0))))
    (if (i32.eq (local.get $what) (i32.const 7)) (then (return (call $deep (i32.const 20000)))))
    (i32.const 0))

  ;; A stack that is worth being dropped.
  (func $deep (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (return (i32.const 0))))
    (i32.add (i32.const 1) (call $deep (i32.sub (local.get $n) (i32.const 1)))))

  ;; 0 if all globals are what they were at the start.
  (func $check (result i32)
    (i32.or
      (i32.or (i32.ne (global.get $i32) (i32.const 1)) (i64.ne (global.get $i64) (i64.const -2)))
      (i32.or
        (i32.or (f32.ne (global.get $f32) (f32.const 3)) (f64.ne (global.get $f64) (f64.const -4)))
        (i32.ne (global.get $started) (i32.const 1))))))
