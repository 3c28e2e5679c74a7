package build

import (
	"fmt"
	"reflect"
	"sync"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// fickle are the functions of templates that give something else each time.
var fickle = []string{
	"randAlphaNum", "randAlpha", "randAscii", "randNumeric", "randBytes", "randInt", "shuffle", "uuidv4", "now", "ago",
	"genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey",
	"bcrypt", "htpasswd", "encryptAES",
}

// given is what fickle functions gave in this process, by call.
var given sync.Map

// steady gives the fickle functions for one rendering: each call gives what the
// same call of an earlier rendering gave. So a password that a chart makes up
// stays the same from stop to stop, and two renderings can be compared.
func steady() template.FuncMap {
	funcs := template.FuncMap{}
	all := sprig.TxtFuncMap()
	calls := map[string]int{}
	for _, name := range fickle {
		f, ok := all[name]
		if !ok {
			continue
		}
		fn := reflect.ValueOf(f)
		funcs[name] = reflect.MakeFunc(fn.Type(), func(args []reflect.Value) []reflect.Value {
			what := name
			for _, a := range args {
				what += fmt.Sprintf(" %v", a.Interface())
			}
			calls[what]++
			key := fmt.Sprintf("%s #%d", what, calls[what])
			if was, ok := given.Load(key); ok {
				return was.([]reflect.Value)
			}
			var out []reflect.Value
			if fn.Type().IsVariadic() {
				out = fn.CallSlice(args)
			} else {
				out = fn.Call(args)
			}
			was, _ := given.LoadOrStore(key, out)
			return was.([]reflect.Value)
		}).Interface()
	}
	return funcs
}
