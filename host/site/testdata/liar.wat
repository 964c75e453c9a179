;; A handler that lies and takes what it can get, each time in another way: the
;; number after the last slash of the request's path says how, and names a
;; function in the table below. What the host lets it do it answers with a code.
(module $liar
  (import "http_handler" "enable_features" (func $enable_features (param i32) (result i32)))
  (import "http_handler" "get_config" (func $get_config (param i32 i32) (result i32)))
  (import "http_handler" "log" (func $log (param i32 i32 i32)))
  (import "http_handler" "get_method" (func $get_method (param i32 i32) (result i32)))
  (import "http_handler" "set_method" (func $set_method (param i32 i32)))
  (import "http_handler" "get_uri" (func $get_uri (param i32 i32) (result i32)))
  (import "http_handler" "set_uri" (func $set_uri (param i32 i32)))
  (import "http_handler" "get_header_names" (func $get_header_names (param i32 i32 i32) (result i64)))
  (import "http_handler" "get_header_values" (func $get_header_values (param i32 i32 i32 i32 i32) (result i64)))
  (import "http_handler" "set_header_value" (func $set_header_value (param i32 i32 i32 i32 i32)))
  (import "http_handler" "remove_header" (func $remove_header (param i32 i32 i32)))
  (import "http_handler" "read_body" (func $read_body (param i32 i32 i32) (result i64)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (import "http_handler" "set_status_code" (func $set_status_code (param i32)))
  (import "http_handler" "get_source_addr" (func $get_source_addr (param i32 i32) (result i32)))
  (import "berth_http" "request_head" (func $request_head (param i32 i32) (result i32)))
  (import "berth_http" "respond" (func $respond (param i32 i32 i32 i32 i32)))
  (import "berth" "config" (func $config (param i32 i32) (result i32)))
  (import "berth" "mount" (func $mount (param i32 i32) (result i32)))
  (import "berth" "log" (func $line (param i32 i32 i32)))
  (import "berth" "random" (func $random (param i32 i32)))
  (import "berth" "data_get" (func $data_get (param i32 i32 i32 i32 i32) (result i64)))
  (import "berth" "data_put" (func $data_put (param i32 i32 i32 i32 i64) (result i64)))
  (import "berth" "data_list" (func $data_list (param i32 i32 i32 i32 i32 i32) (result i64)))
  (import "berth" "file_size" (func $file_size (param i32 i32) (result i64)))
  (import "berth" "file_read" (func $file_read (param i32 i32 i64 i32 i32) (result i64)))
  (import "berth" "call" (func $call (param i32 i32 i32 i32) (result i32)))
  (import "berth" "fetch" (func $fetch (param i32 i32) (result i32)))
  (import "berth" "response_status" (func $response_status (param i32) (result i32)))
  (import "berth" "response_head" (func $response_head (param i32 i32 i32) (result i32)))
  (import "berth" "response_body" (func $response_body (param i32 i32 i32) (result i64)))
  (import "berth" "response_close" (func $response_close (param i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x")
  (data (i32.const 8) "a\0d\0ab")
  (data (i32.const 16) "../secret.key")

  (table $lies 55 funcref)
  (elem $lies (i32.const 0) func $lie0 $lie1 $lie2 $lie3 $lie4 $lie5 $lie6 $lie7 $lie8 $lie9 $lie10 $lie11 $lie12 $lie13 $lie14 $lie15 $lie16 $lie17 $lie18 $lie19 $lie20 $lie21 $lie22 $lie23 $lie24 $lie25 $lie26 $lie27 $lie28 $lie29 $lie30 $lie31 $lie32 $lie33 $lie34 $lie35 $lie36 $lie37 $lie38 $lie39 $lie40 $lie41 $lie42 $lie43 $lie44 $lie45 $lie46 $lie47 $lie48 $lie49 $lie50 $lie51 $lie52 $lie53 $lie54)

  ;; answers with a code as a number of two digits, such as "-5" or "00"
  (func $code (param $code i32)
    (i32.store8 (i32.const 2048) (select (i32.const 45) (i32.const 48) (i32.lt_s (local.get $code) (i32.const 0))))
    (i32.store8 (i32.const 2049) (i32.sub (i32.const 48) (local.get $code)))
    (call $write_body (i32.const 1) (i32.const 2048) (i32.const 2)))

  (func $deep (param $n i64) (result i64) (i64.add (call $deep (i64.add (local.get $n) (i64.const 1))) (local.get $n)))
  (func $tail (param $n i32) (return_call $tail (local.get $n)))

  (func $lie0 ;; config beyond the memory
    (drop (call $get_config (i32.const 65530) (i32.const 100))))
  (func $lie1 ;; log beyond the memory
    (call $log (i32.const 0) (i32.const -1) (i32.const 2)))
  (func $lie2 ;; method beyond the memory
    (drop (call $get_method (i32.const 65535) (i32.const 100))))
  (func $lie3 ;; new method from beyond the memory
    (call $set_method (i32.const 65535) (i32.const 9)))
  (func $lie4 ;; address beyond the memory
    (drop (call $get_uri (i32.const -4) (i32.const -1))))
  (func $lie5 ;; new address with a length below zero
    (call $set_uri (i32.const 0) (i32.const -1)))
  (func $lie6 ;; header names beyond the memory
    (drop (call $get_header_names (i32.const 0) (i32.const 65535) (i32.const 4096))))
  (func $lie7 ;; header names of a kind that is none
    (drop (call $get_header_names (i32.const 9) (i32.const 1024) (i32.const 4096))))
  (func $lie8 ;; header values of a name beyond the memory
    (drop (call $get_header_values (i32.const 0) (i32.const -9) (i32.const 9) (i32.const 1024) (i32.const 4096))))
  (func $lie9 ;; header with a value beyond the memory
    (call $set_header_value (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 1) (i32.const -2)))
  (func $lie10 ;; header with a line break in its value
    (call $set_header_value (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8) (i32.const 4)))
  (func $lie11 ;; header without a name
    (call $remove_header (i32.const 1) (i32.const 0) (i32.const 0)))
  (func $lie12 ;; body of a kind that is none
    (drop (call $read_body (i32.const 7) (i32.const 1024) (i32.const 64))))
  (func $lie13 ;; body beyond the memory
    (drop (call $read_body (i32.const 0) (i32.const 65000) (i32.const 65000))))
  (func $lie14 ;; answer from beyond the memory
    (call $write_body (i32.const 1) (i32.const 1) (i32.const 65536)))
  (func $lie15 ;; status that is none
    (call $set_status_code (i32.const 99)))
  (func $lie16 ;; status below zero
    (call $set_status_code (i32.const -200)))
  (func $lie17 ;; status after the answer
    (call $write_body (i32.const 1) (i32.const 0) (i32.const 1)) (call $set_status_code (i32.const 404)))
  (func $lie18 ;; source beyond the memory
    (drop (call $get_source_addr (i32.const 65536) (i32.const 64))))
  (func $lie19 ;; head beyond the memory
    (drop (call $request_head (i32.const 65500) (i32.const 4096))))
  (func $lie20 ;; answer with headers that do not end
    (call $respond (i32.const 200) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)))
  (func $lie21 ;; answer with headers beyond the memory
    (call $respond (i32.const 200) (i32.const 65535) (i32.const 2) (i32.const 0) (i32.const 1)))
  (func $lie22 ;; two answers
    (call $respond (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1)) (call $respond (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1)) (unreachable))
  (func $lie23 ;; configuration beyond the memory
    (drop (call $config (i32.const -1) (i32.const -1))))
  (func $lie24 ;; mount beyond the memory
    (drop (call $mount (i32.const -1) (i32.const -1))))
  (func $lie25 ;; line beyond the memory
    (call $line (i32.const 0) (i32.const 65535) (i32.const -1)))
  (func $lie26 ;; 2 GiB of randomness
    (call $random (i32.const 0) (i32.const 0x7fffffff)))
  (func $lie27 ;; key beyond the memory
    (drop (call $data_get (i32.const -1) (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 0))))
  (func $lie28 ;; revision beyond the memory
    (drop (call $data_get (i32.const 0) (i32.const 1) (i32.const 65532) (i32.const 0) (i32.const 0))))
  (func $lie29 ;; value beyond the memory
    (drop (call $data_put (i32.const 0) (i32.const 1) (i32.const 0) (i32.const -1) (i64.const -1))))
  (func $lie30 ;; list beyond the memory
    (drop (call $data_list (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 65535) (i32.const 65535))))
  (func $lie31 ;; file name beyond the memory
    (drop (call $file_size (i32.const 65535) (i32.const 2))))
  (func $lie32 ;; file beyond the memory
    (drop (call $file_read (i32.const 0) (i32.const 1) (i64.const -1) (i32.const -1) (i32.const -1))))
  (func $lie33 ;; dependency beyond the memory
    (drop (call $call (i32.const 65535) (i32.const 2) (i32.const 0) (i32.const 4))))
  (func $lie34 ;; request beyond the memory
    (drop (call $fetch (i32.const 65535) (i32.const 2))))
  (func $lie35 ;; head of a response beyond the memory
    (drop (call $response_head (i32.const 0) (i32.const -1) (i32.const -1))))
  (func $lie36 ;; body of a response beyond the memory
    (drop (call $response_body (i32.const 0) (i32.const -1) (i32.const -1))))
  (func $lie37 ;; request whose head is longer than it
    (i32.store (i32.const 1024) (i32.const -1)) (call $code (call $call (i32.const 0) (i32.const 1) (i32.const 1024) (i32.const 8))))
  (func $lie38 ;; dependency that is none
    (i32.store (i32.const 1024) (i32.const 0)) (call $code (call $call (i32.const 0) (i32.const 1) (i32.const 1024) (i32.const 4))))
  (func $lie39 ;; fetch of what is no address
    (i32.store (i32.const 1024) (i32.const 0)) (call $code (call $fetch (i32.const 1024) (i32.const 4))))
  (func $lie40 ;; handle that was never open
    (call $code (call $response_status (i32.const 99))))
  (func $lie41 ;; handle below zero
    (call $code (call $response_close (i32.const -1))))
  (func $lie42 ;; data that was not granted
    (call $code (i32.wrap_i64 (call $data_get (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))))
  (func $lie43 ;; file outside the package
    (call $code (i32.wrap_i64 (call $file_size (i32.const 16) (i32.const 13)))))
  (func $lie44 ;; features that are none
    (drop (call $enable_features (i32.const -1))) (call $code (i32.const 0)))
  (func $lie45 ;; 300 headers
    (local $i i32) (loop $again (call $set_header_value (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $again (i32.lt_u (local.get $i) (i32.const 300)))))
  (func $lie46 ;; a flood of lines
    (local $i i32) (loop $again (call $line (i32.const 0) (i32.const 0) (i32.const 1)) (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if $again (i32.lt_u (local.get $i) (i32.const 5000)))) (call $code (i32.const 0)))
  (func $lie47 ;; host calls without end
    (loop $again (drop (call $mount (i32.const 0) (i32.const 0))) (br $again)))
  (func $lie48 ;; a loop without end
    (loop $again (br $again)))
  (func $lie49 ;; recursion without end
    (drop (call $deep (i64.const 1))))
  (func $lie50 ;; tail calls without end
    (call $tail (i32.const 1)))
  (func $lie51 ;; memory without end
    (loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (call $code (i32.const 0)))
  (func $lie52 ;; a table without end
    (loop $again (br_if $again (i32.ne (table.grow $lies (ref.null func) (i32.const 65536)) (i32.const -1)))) (call $code (i32.const 0)))
  (func $lie53 ;; a call of what is no function
    (call_indirect $lies (i32.const 1000)))
  (func $lie54 ;; an answer without end
    (loop $again (call $write_body (i32.const 1) (i32.const 0) (i32.const 65536)) (br $again)))

  ;; the number after the last slash
  (func $number (result i32) (local $i i32) (local $n i32) (local $end i32) (local $c i32)
    (local.set $end (call $get_uri (i32.const 4096) (i32.const 1024)))
    (loop $again
      (if (i32.lt_u (local.get $i) (local.get $end)) (then
        (local.set $c (i32.load8_u offset=4096 (local.get $i)))
        (local.set $n (select (i32.const 0) (i32.add (i32.mul (local.get $n) (i32.const 10)) (i32.sub (local.get $c) (i32.const 48))) (i32.eq (local.get $c) (i32.const 47))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $again))))
    (local.get $n))

  (func (export "handle_request") (result i64)
    (call_indirect $lies (call $number))
    (i64.const 0))
  (func (export "handle_response") (param i32 i32)))
