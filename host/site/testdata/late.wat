;; A handler that goes on when it should not: after its answer, above what it may
;; hold, and back into itself. The number after the last slash of the request's
;; path says how. What the host lets it do it answers with a code.
(module $late
  (import "http_handler" "get_uri" (func $get_uri (param i32 i32) (result i32)))
  (import "http_handler" "get_protocol_version" (func $get_protocol_version (param i32 i32) (result i32)))
  (import "http_handler" "add_header_value" (func $add_header_value (param i32 i32 i32 i32 i32)))
  (import "http_handler" "set_header_value" (func $set_header_value (param i32 i32 i32 i32 i32)))
  (import "http_handler" "remove_header" (func $remove_header (param i32 i32 i32)))
  (import "http_handler" "set_method" (func $set_method (param i32 i32)))
  (import "http_handler" "set_uri" (func $set_uri (param i32 i32)))
  (import "http_handler" "read_body" (func $read_body (param i32 i32 i32) (result i64)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (import "berth_http" "respond" (func $respond (param i32 i32 i32 i32 i32)))
  (import "berth" "log" (func $line (param i32 i32 i32)))
  (import "berth" "data_delete" (func $data_delete (param i32 i32 i64) (result i64)))
  (import "berth" "data_get" (func $data_get (param i32 i32 i32 i32 i32) (result i64)))
  (import "berth" "file_size" (func $file_size (param i32 i32) (result i64)))
  (import "berth" "call" (func $call (param i32 i32 i32 i32) (result i32)))
  (import "berth" "response_body" (func $response_body (param i32 i32 i32) (result i64)))
  (import "berth" "response_close" (func $response_close (param i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "x")
  (data (i32.const 8) "next")
  (data (i32.const 16) "\06\00\00\00GET\00/\00")  ;; a request
  (data (i32.const 32) "\06\00\00\00G T\00/\00")  ;; one with a method that is none
  (data (i32.const 48) "x\00y\00")                ;; a header field
  (data (i32.const 64) "a b")
  (data (i32.const 72) "self")
  (data (i32.const 80) "\0d\00\00\00GET\00/late/21\00") ;; a request that is this one again

  (table $ways 22 funcref)
  (elem $ways (i32.const 0) func $way0 $way1 $way2 $way3 $way4 $way5 $way6 $way7 $way8 $way9 $way10 $way11 $way12 $way13 $way14 $way15 $way16 $way17 $way18 $way19 $way20 $way21)

  ;; answers with a code as a number of two digits, such as "-5" or "00"
  (func $code (param $code i32)
    (i32.store8 (i32.const 2048) (select (i32.const 45) (i32.const 48) (i32.lt_s (local.get $code) (i32.const 0))))
    (i32.store8 (i32.const 2049) (select (i32.sub (i32.const 48) (local.get $code)) (i32.add (i32.const 48) (local.get $code)) (i32.lt_s (local.get $code) (i32.const 0))))
    (call $write_body (i32.const 1) (i32.const 2048) (i32.const 2)))
  (func $answer (call $respond (i32.const 200) (i32.const 48) (i32.const 4) (i32.const 0) (i32.const 1)))
  (func $ask (result i32) (call $call (i32.const 8) (i32.const 4) (i32.const 16) (i32.const 10)))
  (func $odd (param $n i64) (result i64) (i64.add (call $even (local.get $n)) (i64.const 1)))
  (func $even (param $n i64) (result i64) (i64.add (call $odd (local.get $n)) (i64.const 2)))
  (func $fill (param $from i32) (memory.fill (local.get $from) (i32.const 120) (i32.const 66000)))

  (func $way0 ;; two answers
    (call $answer) (call $respond (i32.const 404) (i32.const 48) (i32.const 4) (i32.const 0) (i32.const 1)))
  (func $way1 ;; header after the answer
    (call $answer) (call $set_header_value (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)))
  (func $way2 ;; header taken away after the answer
    (call $answer) (call $remove_header (i32.const 1) (i32.const 0) (i32.const 1)))
  (func $way3 ;; another request after the answer
    (call $answer) (call $set_method (i32.const 0) (i32.const 1)) (call $set_uri (i32.const 0) (i32.const 0)))
  (func $way4 ;; body of the request after the answer
    (call $answer) (drop (call $read_body (i32.const 0) (i32.const 1024) (i32.const 64))))
  (func $way5 ;; line and call after the answer
    (call $answer) (call $line (i32.const 1) (i32.const 0) (i32.const 1)) (drop (call $ask)))
  (func $way6 ;; trailers that were never switched on
    (call $add_header_value (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 1)) (call $code (i32.const 0)))
  (func $way7 ;; protocol version beyond the memory
    (drop (call $get_protocol_version (i32.const 131071) (i32.const 64))))
  (func $way8 ;; header added from beyond the memory
    (call $add_header_value (i32.const 1) (i32.const 131071) (i32.const 2) (i32.const 0) (i32.const 1)))
  (func $way9 ;; key to delete beyond the memory
    (drop (call $data_delete (i32.const 131071) (i32.const 2) (i64.const 0))))
  (func $way10 ;; method with a space in it
    (call $set_method (i32.const 64) (i32.const 3)))
  (func $way11 ;; path without a slash
    (call $set_uri (i32.const 64) (i32.const 3)))
  (func $way12 ;; header of 66,000 bytes
    (call $fill (i32.const 4096)) (call $set_header_value (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 4096) (i32.const 66000)))
  (func $way13 ;; 600 headers in one answer
    (local $i i32)
    (loop $again
      (i32.store offset=4096 (local.get $i) (i32.const 0x00790078)) ;; "x\0y\0"
      (local.set $i (i32.add (local.get $i) (i32.const 4)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 2400))))
    (call $respond (i32.const 200) (i32.const 4096) (i32.const 2400) (i32.const 0) (i32.const 1)))
  (func $way14 ;; key and path of 66,000 bytes
    (call $fill (i32.const 4096))
    (if (i64.ne (call $data_get (i32.const 4096) (i32.const 66000) (i32.const 0) (i32.const 0) (i32.const 0)) (i64.const -4)) (then (unreachable)))
    (call $code (i32.wrap_i64 (call $file_size (i32.const 4096) (i32.const 66000)))))
  (func $way15 ;; responses that are never closed
    (local $handle i32)
    (loop $again (local.set $handle (call $ask)) (br_if $again (i32.gt_s (local.get $handle) (i32.const 0))))
    (call $code (local.get $handle)))
  (func $way16 ;; response that is closed twice
    (local $handle i32)
    (local.set $handle (call $ask))
    (drop (call $response_close (local.get $handle)))
    (call $code (call $response_close (local.get $handle))))
  (func $way17 ;; open response to beyond the memory
    (drop (call $response_body (call $ask) (i32.const 131071) (i32.const 2))))
  (func $way18 ;; request with a method that is none
    (call $code (call $call (i32.const 8) (i32.const 4) (i32.const 32) (i32.const 10))))
  (func $way19 ;; two functions that call each other without end
    (drop (call $odd (i64.const 1))))
  (func $way20 ;; its own export, without end
    (drop (call $handle_request)))
  (func $way21 ;; itself as a dependency, at each depth without end
    (loop $again (drop (call $call (i32.const 72) (i32.const 4) (i32.const 80) (i32.const 17))) (br $again)))

  ;; the number after the last slash
  (func $number (result i32) (local $i i32) (local $n i32) (local $end i32) (local $c i32)
    (local.set $end (call $get_uri (i32.const 1024) (i32.const 64)))
    (loop $again
      (if (i32.lt_u (local.get $i) (local.get $end)) (then
        (local.set $c (i32.load8_u offset=1024 (local.get $i)))
        (local.set $n (select (i32.const 0) (i32.add (i32.mul (local.get $n) (i32.const 10)) (i32.sub (local.get $c) (i32.const 48))) (i32.eq (local.get $c) (i32.const 47))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $again))))
    (local.get $n))

  (func $handle_request (export "handle_request") (result i64)
    (call_indirect $ways (call $number))
    (i64.const 0))
  (func (export "handle_response") (param i32 i32)))
