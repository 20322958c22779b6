"""One macro call per .proto file: C++ (and gRPC) code by Debian's protoc."""

def penstock_proto(name, deps = [], grpc = False, visibility = None):
    """Makes `<name>_cc_proto` from `<name>.proto`.

    Args:
      name: the file's name without `.proto`.
      deps: names of the protos it imports, in the same folder.
      grpc: whether the file holds a service.
      visibility: of the library.
    """
    src = name + ".proto"
    dep_srcs = [d + ".proto" for d in deps]
    outs = [name + ".pb.h", name + ".pb.cc"]
    command = "protoc -I. --cpp_out=$(GENDIR)"
    if grpc:
        outs += [name + ".grpc.pb.h", name + ".grpc.pb.cc"]
        command += " --grpc_out=$(GENDIR)" + \
                   " --plugin=protoc-gen-grpc=/usr/bin/grpc_cpp_plugin"
    native.filegroup(
        name = name + "_proto_files",
        srcs = [src] + [":" + d + "_proto_files" for d in deps],
    )
    native.genrule(
        name = name + "_gen",
        srcs = [":" + name + "_proto_files"],
        outs = outs,
        cmd = command + " " + native.package_name() + "/" + src,
    )
    native.cc_library(
        name = name + "_cc_proto",
        srcs = [o for o in outs if o.endswith(".cc")],
        hdrs = [o for o in outs if o.endswith(".h")],
        copts = ["-w"],
        deps = [":" + d + "_cc_proto" for d in deps] +
               ["@system//:grpc" if grpc else "@system//:protobuf"],
        visibility = visibility,
    )
