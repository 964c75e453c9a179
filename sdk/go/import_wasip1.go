package berth

import "unsafe"

// The host functions. Their specification is in abi/httpwasm and abi/berth.

//go:wasmimport berth_http request_head
func hostRequestHead(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport berth_http respond
func hostRespond(status uint32, headers unsafe.Pointer, headersLen uint32, body unsafe.Pointer, bodyLen uint32)

//go:wasmimport http_handler read_body
func hostReadBody(kind uint32, buf unsafe.Pointer, limit uint32) uint64

//go:wasmimport berth config
func hostConfig(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport berth mount
func hostMount(buf unsafe.Pointer, limit uint32) uint32

//go:wasmimport berth log
func hostLog(level int32, text unsafe.Pointer, length uint32)

//go:wasmimport berth data_get
func hostDataGet(key unsafe.Pointer, keyLen uint32, revision unsafe.Pointer, buf unsafe.Pointer, limit uint32) int64

//go:wasmimport berth data_put
func hostDataPut(key unsafe.Pointer, keyLen uint32, value unsafe.Pointer, valueLen uint32, want uint64) int64

//go:wasmimport berth data_delete
func hostDataDelete(key unsafe.Pointer, keyLen uint32, want uint64) int64

//go:wasmimport berth data_list
func hostDataList(prefix unsafe.Pointer, prefixLen uint32, after unsafe.Pointer, afterLen uint32, buf unsafe.Pointer, limit uint32) int64

//go:wasmimport berth file_size
func hostFileSize(path unsafe.Pointer, pathLen uint32) int64

//go:wasmimport berth file_read
func hostFileRead(path unsafe.Pointer, pathLen uint32, offset uint64, buf unsafe.Pointer, limit uint32) int64

//go:wasmimport berth call
func hostCall(name unsafe.Pointer, nameLen uint32, request unsafe.Pointer, requestLen uint32) int32

//go:wasmimport berth fetch
func hostFetch(request unsafe.Pointer, requestLen uint32) int32

//go:wasmimport berth response_status
func hostResponseStatus(handle int32) int32

//go:wasmimport berth response_head
func hostResponseHead(handle int32, buf unsafe.Pointer, limit uint32) int32

//go:wasmimport berth response_body
func hostResponseBody(handle int32, buf unsafe.Pointer, limit uint32) int64

//go:wasmimport berth response_close
func hostResponseClose(handle int32) int32

func pointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

func text(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }
