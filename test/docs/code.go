package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
)

// Code is what the tests know of the Go files below some folders: constants that are text, and the reasons of events.
type Code struct {
	// Constants are values by package path below the root and name: apis/eci/v1alpha1.ReasonInStock.
	Constants map[string]string
	// EventReasons are the reasons of all calls of Eventf, with a place for each. An unknown one is "?".
	EventReasons map[string]string
}

// ReadCode reads the Go files below folders of root, those of tests and generated ones left out.
func ReadCode(root string, folders ...string) (*Code, error) {
	code := &Code{Constants: map[string]string{}, EventReasons: map[string]string{}}
	files := token.NewFileSet()
	parsed := map[string]*ast.File{}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(filepath.Base(path), "zz_") {
				return err
			}
			file, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			relative, err := filepath.Rel(root, path)
			parsed[filepath.ToSlash(relative)] = file
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("reading the code: %w", err)
		}
	}
	for path, file := range parsed {
		code.addConstants(path[:strings.LastIndex(path, "/")], file)
	}
	for path, file := range parsed {
		code.addEvents(path, file)
	}
	return code, nil
}

func (c *Code) addConstants(folder string, file *ast.File) {
	for _, declaration := range file.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.CONST {
			continue
		}
		for _, spec := range general.Specs {
			values := spec.(*ast.ValueSpec)
			for i, name := range values.Names {
				if i < len(values.Values) {
					if text, ok := literal(values.Values[i]); ok {
						c.Constants[folder+"."+name.Name] = text
					}
				}
			}
		}
	}
}

// addEvents finds Eventf(object, related, type, reason, action, note, ...), the recorder of events.k8s.io.
func (c *Code) addEvents(path string, file *ast.File) {
	ast.Inspect(file, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok || len(call.Args) < 6 {
			return true
		}
		if selector, ok := call.Fun.(*ast.SelectorExpr); ok && selector.Sel.Name == "Eventf" {
			c.EventReasons[c.value(path, file, call.Args[3])] = path
		}
		return true
	})
}

// value returns the text of an expression: a literal, a constant of the package, or one of an imported package.
func (c *Code) value(path string, file *ast.File, expression ast.Expr) string {
	const unknown = "?"
	switch e := expression.(type) {
	case *ast.BasicLit:
		if text, ok := literal(e); ok {
			return text
		}
	case *ast.Ident:
		if text, ok := c.Constants[path[:strings.LastIndex(path, "/")]+"."+e.Name]; ok {
			return text
		}
	case *ast.SelectorExpr:
		from, ok := e.X.(*ast.Ident)
		if !ok {
			return unknown
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			name := imported[strings.LastIndex(imported, "/")+1:]
			if spec.Name != nil {
				name = spec.Name.Name
			}
			_, below, _ := strings.Cut(imported, "spillway-k8s/spillway/")
			if text, ok := c.Constants[below+"."+e.Sel.Name]; ok && name == from.Name {
				return text
			}
		}
	}
	return unknown
}

func literal(expression ast.Expr) (string, bool) {
	basic, ok := expression.(*ast.BasicLit)
	if !ok || basic.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(basic.Value)
	return text, err == nil
}
