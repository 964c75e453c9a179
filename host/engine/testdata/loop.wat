;; A guest that loops: what metering costs most.
(module
  (memory (export "memory") 1)
  ;; sums the bytes of the memory, and stirs the sum: a loop of few instructions
  (func (export "run") (result i64)
    (local $i i32) (local $sum i64)
    (loop $next
      (local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 5)) (i64.load8_u (local.get $i))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 65536))))
    (local.get $sum)))
