// Package walk takes an application down the road: check, attack, fix, build,
// run, does it still work, attack again. It drives; what a step is stands under
// steps/, and where things run is the sandbox's business.
package walk
