;; Sends the request that is its configuration out, and answers with the body
;; of the answer, or with a digit for the error.
(module
  (import "http_handler" "get_config" (func $get_config (param i32 i32) (result i32)))
  (import "berth" "fetch" (func $fetch (param i32 i32) (result i32)))
  (import "berth" "response_body" (func $response_body (param i32 i32 i32) (result i64)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (memory (export "memory") 2)
  (func (export "handle_request") (result i64)
    (local $response i32)
    (local.set $response (call $fetch (i32.const 0) (call $get_config (i32.const 0) (i32.const 65536))))
    (if (i32.lt_s (local.get $response) (i32.const 0))
      (then
        (i32.store8 (i32.const 65536) (i32.sub (i32.const 48) (local.get $response)))
        (call $write_body (i32.const 1) (i32.const 65536) (i32.const 1)))
      (else
        (call $write_body (i32.const 1) (i32.const 65536)
          (i32.wrap_i64 (call $response_body (local.get $response) (i32.const 65536) (i32.const 65536))))))
    (i64.const 0)))
