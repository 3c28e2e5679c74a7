// Command storefront is what customers see of the shop. It keeps nothing: orders
// are the business of the service behind ORDERS_URL.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"
)

var (
	client = &http.Client{Timeout: 5 * time.Second}
	orders = os.Getenv("ORDERS_URL")
)

func main() {
	if orders == "" {
		log.Fatal("ORDERS_URL is not set")
	}
	page, err := template.ParseFiles("page.html")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		var all struct{ Count int }
		if err := ask(http.MethodGet, orders+"/orders", &all); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		page.Execute(w, all)
	})
	http.HandleFunc("GET /buy", func(w http.ResponseWriter, r *http.Request) {
		var made struct {
			Number int
			Item   string
		}
		if err := ask(http.MethodPost, orders+"/orders?item="+url.QueryEscape(r.FormValue("item")), &made); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, "order %d: %s\n", made.Number, made.Item)
	})
	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	log.Fatal(http.ListenAndServe(":8080", nil))
}

// ask sends a request to the service behind and decodes its answer.
func ask(method, to string, into any) error {
	req, err := http.NewRequest(method, to, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New("orders: " + resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
