;; A handler that answers with its configuration, or does what the first letter
;; after the last slash of the request's URI says. A configuration that begins
;; with "!" makes it a filter that does what the next letter says.
(module $guest
  (import "http_handler" "enable_features" (func $enable_features (param i32) (result i32)))
  (import "http_handler" "get_config" (func $get_config (param i32 i32) (result i32)))
  (import "http_handler" "get_uri" (func $get_uri (param i32 i32) (result i32)))
  (import "http_handler" "set_uri" (func $set_uri (param i32 i32)))
  (import "http_handler" "set_method" (func $set_method (param i32 i32)))
  (import "http_handler" "get_header_values" (func $get_header_values (param i32 i32 i32 i32 i32) (result i64)))
  (import "http_handler" "set_header_value" (func $set_header_value (param i32 i32 i32 i32 i32)))
  (import "http_handler" "add_header_value" (func $add_header_value (param i32 i32 i32 i32 i32)))
  (import "http_handler" "read_body" (func $read_body (param i32 i32 i32) (result i64)))
  (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
  (import "http_handler" "set_status_code" (func $set_status_code (param i32)))
  (import "http_handler" "log" (func $log (param i32 i32 i32)))
  (import "berth" "mount" (func $mount (param i32 i32) (result i32)))
  (import "berth" "call" (func $call (param i32 i32 i32 i32) (result i32)))
  (import "berth" "response_body" (func $response_body (param i32 i32 i32) (result i64)))
  (import "berth" "data_get" (func $data_get (param i32 i32 i32 i32 i32) (result i64)))
  (memory (export "memory") 4)
  (data (i32.const 0) "cookie")
  (data (i32.const 16) "set-cookie")
  (data (i32.const 32) "berth-beta=stolen; Path=/")
  (data (i32.const 64) "other=1")
  (data (i32.const 80) "connection")
  (data (i32.const 96) "close")
  (data (i32.const 112) "x-filter")
  (data (i32.const 128) "next")
  (data (i32.const 144) "content-type")
  (data (i32.const 160) "text/plain")
  (data (i32.const 176) "/g")
  (data (i32.const 192) "a line of the guest")
  (data (i32.const 224) "x-request-id")
  (data (i32.const 256) "GET\00") ;; the head of a request begins so
  (data (i32.const 1000) "E")
  (global $config (mut i32) (i32.const 0)) ;; length, at 2048
  (global $uri (mut i32) (i32.const 0))    ;; length, at 4096

  ;; the letter that says what to do; 0 for none
  (func $letter (result i32) (local $i i32)
    (global.set $uri (call $get_uri (i32.const 4096) (i32.const 4096)))
    (local.set $i (global.get $uri))
    (loop $again
      (local.set $i (i32.sub (local.get $i) (i32.const 1)))
      (br_if $again (i32.ne (i32.load8_u offset=4096 (local.get $i)) (i32.const 47))))
    (if (i32.eq (i32.add (local.get $i) (i32.const 1)) (global.get $uri)) (then (return (i32.const 0))))
    (i32.load8_u offset=4097 (local.get $i)))

  (func $say (param $ptr i32) (param $len i32)
    (call $write_body (i32.const 1) (local.get $ptr) (local.get $len)))

  ;; asks the dependency "next" for the path at ptr, and says a dot and its
  ;; answer, or E and the number of the code
  (func $ask (param $ptr i32) (param $len i32) (local $handle i32) (local $body i64)
    ;; 4 bytes for the head's length, then the head
    (memory.copy (i32.const 8200) (i32.const 256) (i32.const 4))
    (memory.copy (i32.const 8204) (local.get $ptr) (local.get $len))
    (i32.store8 offset=8204 (local.get $len) (i32.const 0))
    (i32.store (i32.const 8196) (i32.add (local.get $len) (i32.const 5)))
    (local.set $handle (call $call (i32.const 128) (i32.const 4) (i32.const 8196) (i32.add (local.get $len) (i32.const 9))))
    (if (i32.lt_s (local.get $handle) (i32.const 0))
      (then
        (i32.store8 (i32.const 1001) (i32.sub (i32.const 48) (local.get $handle)))
        (call $say (i32.const 1000) (i32.const 2))
        (return)))
    (i32.store8 (i32.const 16384) (i32.const 46))
    (local.set $body (call $response_body (local.get $handle) (i32.const 16385) (i32.const 4096)))
    (call $say (i32.const 16384) (i32.add (i32.wrap_i64 (local.get $body)) (i32.const 1))))

  (func $cookies (param $name i32) (param $len i32) (result i32)
    (i32.wrap_i64 (call $get_header_values (i32.const 0) (local.get $name) (local.get $len) (i32.const 16384) (i32.const 4096))))

  (func $answer (local $do i32) (local $n i64)
    (local.set $do (call $letter))
    (call $set_header_value (i32.const 1) (i32.const 144) (i32.const 12) (i32.const 160) (i32.const 10))
    (if (i32.eq (local.get $do) (i32.const 116)) (then (unreachable))) ;; t: trap
    (if (i32.eq (local.get $do) (i32.const 112)) ;; p: part of an answer
      (then (call $say (i32.const 2048) (global.get $config)) (unreachable)))
    (if (i32.eq (local.get $do) (i32.const 99)) ;; c: the cookies that arrive
      (then (call $say (i32.const 16384) (call $cookies (i32.const 0) (i32.const 6))) (return)))
    (if (i32.eq (local.get $do) (i32.const 107)) ;; k: set cookies, and fields of the connection
      (then
        (call $add_header_value (i32.const 1) (i32.const 16) (i32.const 10) (i32.const 32) (i32.const 25))
        (call $add_header_value (i32.const 1) (i32.const 16) (i32.const 10) (i32.const 64) (i32.const 7))
        (call $set_header_value (i32.const 1) (i32.const 80) (i32.const 10) (i32.const 96) (i32.const 5))
        (call $set_header_value (i32.const 1) (i32.const 224) (i32.const 12) (i32.const 96) (i32.const 5))
        (return)))
    (if (i32.eq (local.get $do) (i32.const 98)) ;; b: the body that arrives
      (then
        (loop $more
          (local.set $n (call $read_body (i32.const 0) (i32.const 16384) (i32.const 65536)))
          (call $say (i32.const 16384) (i32.wrap_i64 (local.get $n)))
          (br_if $more (i64.eqz (i64.shr_u (local.get $n) (i64.const 32)))))
        (return)))
    (if (i32.eq (local.get $do) (i32.const 119)) ;; w: write without an end
      (then (loop $more (call $say (i32.const 0) (i32.const 65536)) (br $more))))
    (if (i32.eq (local.get $do) (i32.const 109)) ;; m: where it is mounted
      (then (call $say (i32.const 16384) (call $mount (i32.const 16384) (i32.const 4096))) (return)))
    (if (i32.eq (local.get $do) (i32.const 117)) ;; u: the URI
      (then (call $say (i32.const 4096) (global.get $uri)) (return)))
    (if (i32.eq (local.get $do) (i32.const 100)) ;; d: ask the dependency the same
      (then (call $ask (i32.const 4096) (global.get $uri)) (return)))
    (if (i32.eq (local.get $do) (i32.const 101)) ;; e: ask the dependency for /g
      (then (call $ask (i32.const 176) (i32.const 2)) (return)))
    (if (i32.eq (local.get $do) (i32.const 103)) ;; g: wait for data
      (then (drop (call $data_get (i32.const 128) (i32.const 4) (i32.const 0) (i32.const 16384) (i32.const 4096)))
            (call $say (i32.const 2048) (global.get $config)) (return)))
    (if (i32.eq (local.get $do) (i32.const 108)) ;; l: log
      (then (call $log (i32.const 1) (i32.const 192) (i32.const 19)) (return)))
    (if (i32.eq (local.get $do) (i32.const 48)) ;; 0: an answer of nothing
      (then (return)))
    (if (i32.eq (local.get $do) (i32.const 52)) ;; 4: an error of the module's own
      (then (call $set_status_code (i32.const 404))))
    (call $say (i32.const 2048) (global.get $config)))

  (func (export "handle_request") (result i64) (local $do i32)
    (global.set $config (call $get_config (i32.const 2048) (i32.const 1024)))
    (if (i32.ne (i32.load8_u (i32.const 2048)) (i32.const 33)) ;; no filter
      (then (call $answer) (return (i64.const 0))))
    (local.set $do (i32.load8_u (i32.const 2049)))
    (if (i32.eq (local.get $do) (i32.const 116)) (then (unreachable))) ;; t: trap
    (if (i32.eq (local.get $do) (i32.const 100)) ;; d: deny
      (then (call $set_status_code (i32.const 401)) (call $say (i32.const 2048) (global.get $config)) (return (i64.const 0))))
    (if (i32.eq (local.get $do) (i32.const 98)) ;; b: hold the answer back
      (then (drop (call $enable_features (i32.const 2)))))
    (if (i32.eq (local.get $do) (i32.const 117)) ;; u: send on to the path that follows
      (then (call $set_uri (i32.const 2050) (i32.sub (global.get $config) (i32.const 2)))))
    (if (i32.eq (local.get $do) (i32.const 109)) ;; m: make it a GET
      (then (call $set_method (i32.const 256) (i32.const 3))))
    (call $add_header_value (i32.const 1) (i32.const 112) (i32.const 8) (i32.const 2048) (global.get $config))
    (i64.const 1))

  (func (export "handle_response") (param i32 i32)
    (if (i32.eq (i32.load8_u (i32.const 2049)) (i32.const 114)) (then (unreachable))))) ;; r: trap at the end
