// Command road-to-secure-kubernetes is a web server that counts its visitors in
// Redis, and the victim of the road's attacks.
//
// IT IS INSECURE ON PURPOSE: /rce/ runs any command for anyone, /ssrf/ fetches
// any address for anyone. Never run it where others can reach it.
//
//	GET /                 Hello, World for the N'th time
//	GET /rce/?cmd=id      runs the command, split on spaces, and streams what it says
//	GET /ssrf/?uri=URI    fetches the URI and returns the body
//	GET /healthz          ok
//
// It needs REDIS_ADDR (host:port) and REDIS_PASSWD, and listens on LISTEN, by
// default 127.0.0.1:8080.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// key is where the visits are counted.
const key = "counter"

func main() {
	log.SetFlags(log.LstdFlags | log.Lmsgprefix)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv); err != nil {
		log.Fatal("error: ", err)
	}
}

// run serves until ctx ends. getenv is os.Getenv outside tests.
func run(ctx context.Context, getenv func(string) string) error {
	conf, err := configure(getenv)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", conf.listen)
	if err != nil {
		return err
	}
	log.Print("WARNING: this server runs any command that anyone sends to it. It is insecure on purpose; keep it where only you can reach it.")
	log.Print("listening on ", listener.Addr())

	db := redis.NewClient(&redis.Options{
		Addr:         conf.redisAddr,
		Password:     conf.redisPassword,
		DialTimeout:  2 * time.Second,
		ReadTimeout:  2 * time.Second,
		WriteTimeout: 2 * time.Second,
	})
	defer db.Close()
	next := func(ctx context.Context) (int64, error) { return db.Incr(ctx, key).Result() }
	return serve(ctx, listener, newHandler(next))
}

// config is what the environment says.
type config struct{ listen, redisAddr, redisPassword string }

func configure(getenv func(string) string) (config, error) {
	c := config{getenv("LISTEN"), getenv("REDIS_ADDR"), getenv("REDIS_PASSWD")}
	if c.listen == "" {
		c.listen = "127.0.0.1:8080"
	}
	var errs []error
	if c.redisAddr == "" {
		errs = append(errs, errors.New("REDIS_ADDR is not set: give the address of Redis, such as 127.0.0.1:6379"))
	}
	if c.redisPassword == "" {
		errs = append(errs, errors.New("REDIS_PASSWD is not set: give the password of Redis"))
	}
	return c, errors.Join(errs...)
}

// serve answers on listener until ctx ends. Requests under way then have five
// seconds; commands that /rce/ started end at once, because they may take minutes.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		IdleTimeout:       time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Print("stopping")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}
