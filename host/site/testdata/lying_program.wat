;; A CGI program that prints what is no answer: its configuration is a letter
;; that says how.
(module $lying_program
  (import "berth" "config" (func $config (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 64) "Content-Type: text/plain\n\nx")
  (data (i32.const 128) "Status: 99\n\n")
  (data (i32.const 160) "X: \01\n\n")
  (data (i32.const 192) "/etc/passwd")

  (func $print (param $ptr i32) (param $len i32) (result i32)
    (i32.store (i32.const 0) (local.get $ptr))
    (i32.store (i32.const 4) (local.get $len))
    (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))

  ;; answers when the host said no, and traps when it did not
  (func $refused (param $errno i32)
    (if (i32.eqz (local.get $errno)) (then (unreachable)))
    (drop (call $print (i32.const 64) (i32.const 27))))

  (func (export "_start") (local $how i32)
    (drop (call $config (i32.const 32) (i32.const 1)))
    (local.set $how (i32.load8_u (i32.const 32)))
    (if (i32.eq (local.get $how) (i32.const 97)) ;; a: output from beyond the memory
      (then (call $refused (call $print (i32.const 131071) (i32.const 2))) (return)))
    (if (i32.eq (local.get $how) (i32.const 98)) ;; b: buffers beyond the memory
      (then (call $refused (call $fd_write (i32.const 1) (i32.const 131068) (i32.const 9) (i32.const 8))) (return)))
    (if (i32.eq (local.get $how) (i32.const 99)) ;; c: 2^32 - 1 buffers
      (then (call $refused (call $fd_write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 8))) (return)))
    (if (i32.eq (local.get $how) (i32.const 100)) ;; d: input to beyond the memory
      (then
        (i32.store (i32.const 0) (i32.const 131071))
        (i32.store (i32.const 4) (i32.const 2))
        (call $refused (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))) (return)))
    (if (i32.eq (local.get $how) (i32.const 101)) ;; e: environment beyond the memory
      (then (call $refused (call $environ_get (i32.const 131068) (i32.const 131068))) (return)))
    (if (i32.eq (local.get $how) (i32.const 102)) ;; f: a file of the machine
      (then (call $refused (call $path_open (i32.const 3) (i32.const 0) (i32.const 192) (i32.const 11) (i32.const 0) (i64.const -1) (i64.const -1) (i32.const 0) (i32.const 16))) (return)))
    (if (i32.eq (local.get $how) (i32.const 103)) ;; g: a status that is none
      (then (drop (call $print (i32.const 128) (i32.const 12))) (return)))
    (if (i32.eq (local.get $how) (i32.const 104)) ;; h: a header with a control character
      (then (drop (call $print (i32.const 160) (i32.const 6))) (return)))
    (if (i32.eq (local.get $how) (i32.const 105)) ;; i: a header without end
      (then (loop $again (drop (call $print (i32.const 64) (i32.const 25))) (br $again))))
    (if (i32.eq (local.get $how) (i32.const 106)) ;; j: half an answer, and gives up
      (then (drop (call $print (i32.const 64) (i32.const 27))) (unreachable)))
    (if (i32.eq (local.get $how) (i32.const 107)) ;; k: an exit code after the answer
      (then (drop (call $print (i32.const 64) (i32.const 27))) (call $proc_exit (i32.const -1))))))
