// Answers what Kubernetes' own libraries make of an expression: one JSON request a line on standard input,
// {"language":"cel"|"jsonpath","expression":…,"object":…}, one answer a line on standard output, {"value":…} or {"error":…}.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/client-go/util/jsonpath"
)

type request struct {
	Language   string          `json:"language"`
	Expression string          `json:"expression"`
	Object     json.RawMessage `json:"object"`
}

type answer struct {
	Value any    `json:"value"`
	Error string `json:"error,omitempty"`
}

func main() {
	env := newEnv()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<16), 1<<24)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		value, err := evaluate(env, asked)
		if err != nil {
			_ = out.Encode(answer{Error: err.Error()})
		} else {
			_ = out.Encode(answer{Value: value})
		}
	}
}

func newEnv() *cel.Env {
	set, err := environment.MustBaseEnvSet(version.MajorMinor(1, 36)).Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0),
		EnvOptions:        []cel.EnvOption{cel.Variable("object", cel.DynType)},
	})
	if err != nil {
		panic(err)
	}
	return set.NewExpressionsEnv()
}

func evaluate(env *cel.Env, asked request) (value any, err error) {
	var object any
	if err := utiljson.Unmarshal(asked.Object, &object); err != nil {
		return nil, err
	}
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v", fault)
		}
	}()
	if asked.Language == "jsonpath" {
		path := jsonpath.New("oracle")
		if err := path.Parse(asked.Expression); err != nil {
			return nil, err
		}
		results, err := path.FindResults(object)
		if err != nil {
			return nil, err
		}
		found := []any{}
		for _, result := range results {
			for _, value := range result {
				found = append(found, value.Interface())
			}
		}
		return found, nil
	}
	ast, issues := env.Compile(asked.Expression)
	if issues.Err() != nil {
		return nil, fmt.Errorf("compile: %w", issues.Err())
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	result, _, err := program.Eval(map[string]any{"object": object})
	if err != nil {
		return nil, err
	}
	return plain(result)
}

// plain writes a CEL value as rows hold it: durations as nanoseconds, timestamps as RFC 3339, bytes as base64.
func plain(value ref.Val) (any, error) {
	switch typed := value.(type) {
	case *types.Optional:
		if !typed.HasValue() {
			return nil, nil
		}
		return plain(typed.GetValue())
	case types.Null:
		return nil, nil
	case types.Bool:
		return bool(typed), nil
	case types.Int:
		return int64(typed), nil
	case types.Uint:
		return uint64(typed), nil
	case types.Double:
		if math.IsNaN(float64(typed)) || math.IsInf(float64(typed), 0) {
			return nil, fmt.Errorf("not a finite number")
		}
		return float64(typed), nil
	case types.String:
		return string(typed), nil
	case types.Bytes:
		return base64.StdEncoding.EncodeToString(typed), nil
	case types.Timestamp:
		return typed.Time.UTC().Format(time.RFC3339Nano), nil
	case types.Duration:
		return typed.Duration.Nanoseconds(), nil
	case traits.Mapper:
		object := map[string]any{}
		for it := typed.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, isString := key.(types.String)
			if !isString {
				return nil, fmt.Errorf("a key is no string")
			}
			member, err := plain(typed.Get(key))
			if err != nil {
				return nil, err
			}
			object[string(name)] = member
		}
		return object, nil
	case traits.Lister:
		list := []any{}
		for it := typed.Iterator(); it.HasNext() == types.True; {
			member, err := plain(it.Next())
			if err != nil {
				return nil, err
			}
			list = append(list, member)
		}
		return list, nil
	}
	return nil, fmt.Errorf("%v has no JSON form", reflect.TypeOf(value))
}
