;; Wants 1 GiB of memory before it has done anything.
(module
  (memory (export "memory") 16384)
  (func (export "run") (param i32 i32) (result i32) (i32.const 0)))
