// Generates the Go code of the interface from the proto files, into rollcallv1/. Needs no protoc: the proto files are
// compiled here, and the two plugins are tools of this module.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

const (
	protoFolder = "../../proto"
	module      = "rollcall.example/examples/go"
)

var files = []string{"rollcall/v1/instance.proto", "rollcall/v1/registry.proto"}

func main() {
	log.SetFlags(0)
	request, err := request()
	if err != nil {
		log.Fatal(err)
	}
	for _, plugin := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		if err := generate(plugin, request); err != nil {
			log.Fatalf("%s: %v", plugin, err)
		}
	}
}

// request is what protoc would hand to a plugin.
func request() ([]byte, error) {
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: []string{protoFolder}}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	compiled, err := compiler.Compile(context.Background(), files...)
	if err != nil {
		return nil, err
	}
	// The proto files name no Go package: where the generated code goes is for each user to say.
	parameter := "module=" + module
	var descriptors []*descriptorpb.FileDescriptorProto
	for i, file := range compiled {
		parameter += fmt.Sprintf(",M%s=%s/rollcallv1", files[i], module)
		descriptors = append(descriptors, protoutil.ProtoFromFileDescriptor(file))
	}
	return proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: files,
		Parameter:      &parameter,
		ProtoFile:      descriptors,
	})
}

func generate(plugin string, request []byte) error {
	command := exec.Command("go", "tool", plugin)
	command.Stdin = bytes.NewReader(request)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(output, &response); err != nil {
		return err
	}
	if response.Error != nil {
		return fmt.Errorf("%s", response.GetError())
	}
	for _, file := range response.File {
		if err := os.MkdirAll(filepath.Dir(file.GetName()), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file.GetName(), []byte(file.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
