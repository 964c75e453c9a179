;; Needs what no server offers, and a known function as another type.
(module
  (import "env" "launch" (func (param i32)))
  (import "test" "wait" (func (param i64)))
  (func (export "run") (param i32 i32) (result i32) (i32.const 0)))
