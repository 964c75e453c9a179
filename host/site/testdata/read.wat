;; Reads the whole request and answers with its configuration, in the header
;; field X-Config and as body.
(module
  (import "http_handler" "read_body" (func $read_body (param i32 i32 i32) (result i64)))
  (import "http_handler" "get_config" (func $get_config (param i32 i32) (result i32)))
  (import "http_handler" "set_header_value" (func $set_header_value (param i32 i32 i32 i32 i32)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "X-Config")
  (func (export "handle_request") (result i64)
    (local $n i32)
    (loop $more
      (br_if $more (i64.eqz (i64.shr_u (call $read_body (i32.const 0) (i32.const 65536) (i32.const 65536)) (i64.const 32)))))
    (local.set $n (call $get_config (i32.const 1024) (i32.const 4096)))
    (call $set_header_value (i32.const 1) (i32.const 0) (i32.const 8) (i32.const 1024) (local.get $n))
    (call $write_body (i32.const 1) (i32.const 1024) (local.get $n))
    (i64.const 0)))
