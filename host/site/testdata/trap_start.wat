;; Traps when it starts.
(module
  (memory (export "memory") 1)
  (func $start (unreachable))
  (start $start)
  (func (export "handle_request") (result i64) (i64.const 0)))
