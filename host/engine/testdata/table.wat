;; A guest whose state no embedder can set back: it changes its table, and
;; drops a segment.
(module $table
  (memory (export "memory") 1)
  (table $t 2 funcref)
  (elem declare func $f)
  (data $once "once")
  (func $f)
  ;; run(what, _): 0 leaves traces, 100 is 0 if there are none
  (func (export "run") (param $what i32) (param $at i32) (result i32)
    (if (i32.eq (local.get $what) (i32.const 100))
      (then
        (memory.init $once (i32.const 0) (i32.const 0) (i32.const 4)) ;; traps after a drop
        (return (i32.eqz (ref.is_null (table.get $t (i32.const 0)))))))
    (table.set $t (i32.const 0) (ref.func $f))
    (data.drop $once)
    (if (i32.eq (local.get $what) (i32.const 1)) (then (unreachable)))
    (i32.const 0)))
