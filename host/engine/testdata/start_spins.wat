;; The start function never ends.
(module
  (start $start)
  (func $start (loop $again (br $again)))
  (func (export "run") (param i32 i32) (result i32) (i32.const 0)))
