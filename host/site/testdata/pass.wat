;; A filter that adds its configuration to the request's X-Filter and passes on.
(module
  (import "http_handler" "get_config" (func $get_config (param i32 i32) (result i32)))
  (import "http_handler" "add_header_value" (func $add_header_value (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "X-Filter")
  (func (export "handle_request") (result i64)
    (call $add_header_value (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 1024) (call $get_config (i32.const 1024) (i32.const 1024)))
    (i64.const 1)))
