;; A guest with random state and a warm-up.
(module $reseeds
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $warm (mut i32) (i32.const 0))
  (func (export "berth_warm_up") (global.set $warm (i32.add (global.get $warm) (i32.const 1))))
  (func $reseed (export "berth_reseed") (drop (call $random_get (i32.const 128) (i32.const 4))))
  (func (export "_initialize") (call $reseed))
  ;; run(0, _) is the random state, run(1, _) how often it was warmed up
  (func (export "run") (param $what i32) (param i32) (result i32)
    (if (local.get $what) (then (return (global.get $warm))))
    (i32.load (i32.const 128))))
