;; Asks its dependency "self" and answers with what that answers and an "x", or
;; with a digit for the error. An instance that is entered twice traps.
(module
  (import "berth" "call" (func $call (param i32 i32 i32 i32) (result i32)))
  (import "berth" "response_body" (func $response_body (param i32 i32 i32) (result i64)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (memory (export "memory") 1)
  (global $busy (mut i32) (i32.const 0))
  (data (i32.const 0) "self")
  (data (i32.const 8) "\06\00\00\00GET\00/\00")
  (data (i32.const 32) "x")
  (func (export "handle_request") (result i64)
    (local $response i32)
    (local $n i32)
    (if (global.get $busy) (then (unreachable)))
    (global.set $busy (i32.const 1))
    (local.set $response (call $call (i32.const 0) (i32.const 4) (i32.const 8) (i32.const 10)))
    (if (i32.lt_s (local.get $response) (i32.const 0))
      (then
        (i32.store8 (i32.const 1024) (i32.sub (i32.const 48) (local.get $response)))
        (call $write_body (i32.const 1) (i32.const 1024) (i32.const 1)))
      (else
        (local.set $n (i32.wrap_i64 (call $response_body (local.get $response) (i32.const 1024) (i32.const 1024))))
        (call $write_body (i32.const 1) (i32.const 1024) (local.get $n))
        (call $write_body (i32.const 1) (i32.const 32) (i32.const 1))))
    (global.set $busy (i32.const 0))
    (i64.const 0)))
