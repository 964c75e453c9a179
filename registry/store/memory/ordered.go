package memory

import (
	"maps"
	"slices"
	"strings"
)

// An ordered map gives its keys in byte order.
type ordered[V any] struct {
	keys   []string // sorted
	values map[string]V
}

func newOrdered[V any]() *ordered[V] {
	return &ordered[V]{values: map[string]V{}}
}

func (o *ordered[V]) get(key string) (V, bool) {
	v, ok := o.values[key]
	return v, ok
}

func (o *ordered[V]) put(key string, v V) {
	if _, ok := o.values[key]; !ok {
		i, _ := slices.BinarySearch(o.keys, key)
		o.keys = slices.Insert(o.keys, i, key)
	}
	o.values[key] = v
}

func (o *ordered[V]) delete(key string) {
	if i, ok := slices.BinarySearch(o.keys, key); ok {
		o.keys = slices.Delete(o.keys, i, i+1)
		delete(o.values, key)
	}
}

// after returns the keys that start with prefix and come after the key after.
func (o *ordered[V]) after(prefix, after string) []string {
	from, _ := slices.BinarySearch(o.keys, prefix)
	if after >= prefix {
		i, found := slices.BinarySearch(o.keys, after)
		if found {
			i++
		}
		from = i
	}
	keys := o.keys[from:]
	end, _ := slices.BinarySearchFunc(keys, prefix, func(key, prefix string) int {
		if strings.HasPrefix(key, prefix) {
			return -1
		}
		return 1
	})
	return keys[:end]
}

func (o *ordered[V]) clone() *ordered[V] {
	return &ordered[V]{keys: slices.Clone(o.keys), values: maps.Clone(o.values)}
}
