;; A guest that asks about its deployment when it starts.
(module $personal
  (import "test" "state" (func $state (result i32)))
  (memory (export "memory") 1)
  (global $learned (mut i32) (i32.const 0))
  (func $start (global.set $learned (call $state)))
  (start $start)
  (func (export "run") (param i32 i32) (result i32) (global.get $learned)))
