// Package config reads what the operator wrote: the credentials file, and the
// values of flags from the command line, the environment and a YAML file.
//
// Every message says where the value came from, what is wrong with it and what
// to write instead. Nothing here opens a socket or needs a privilege.
package config
