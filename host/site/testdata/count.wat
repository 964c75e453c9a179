;; Counts up the 32-bit number at the key "n" of its data, and answers with it;
;; with status 403 if it has no data.
(module
  (import "berth" "data_get" (func $data_get (param i32 i32 i32 i32 i32) (result i64)))
  (import "berth" "data_put" (func $data_put (param i32 i32 i32 i32 i64) (result i64)))
  (import "http_handler" "set_status_code" (func $set_status_code (param i32)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "n")
  (func (export "handle_request") (result i64)
    (local $result i64)
    (loop $again
      (i64.store (i32.const 8) (i64.const 0))
      (i32.store (i32.const 16) (i32.const 0))
      (local.set $result (call $data_get (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 16) (i32.const 4)))
      (if (i64.eq (local.get $result) (i64.const -3))
        (then (call $set_status_code (i32.const 403)) (return (i64.const 0))))
      (i32.store (i32.const 16) (i32.add (i32.load (i32.const 16)) (i32.const 1)))
      (local.set $result (call $data_put (i32.const 0) (i32.const 1) (i32.const 16) (i32.const 4) (i64.load (i32.const 8))))
      (br_if $again (i64.eq (local.get $result) (i64.const -2))))
    (if (i64.lt_s (local.get $result) (i64.const 0)) (then (unreachable)))
    (call $write_body (i32.const 1) (i32.const 16) (i32.const 4))
    (i64.const 0)))
