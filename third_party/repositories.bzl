"""Every external repository, all of them local.

Debian's Bazel has no network and no registry. What Bazel itself would fetch
comes from Debian's packages or from shims in this folder; the libraries are
Debian's, linked by name. Someone with a newer Bazel and a network can swap
this one file for the real rules.
"""

_BAZEL_SHARE = "/usr/share/bazel/"

def penstock_repositories():
    native.local_repository(
        name = "platforms",
        path = _BAZEL_SHARE + "tools/platforms",
    )
    native.local_repository(
        name = "bazel_skylib",
        path = _BAZEL_SHARE + "tools/skylib",
    )
    native.local_repository(
        name = "rules_java",
        path = _BAZEL_SHARE + "rules/java",
    )
    native.local_repository(
        name = "rules_cc",
        path = "third_party/rules_cc",
    )
    native.local_repository(
        name = "remote_coverage_tools",
        path = "third_party/remote_coverage_tools",
    )
    native.local_repository(
        name = "system",
        path = "third_party/system",
    )
    native.new_local_repository(
        name = "libtorch",
        path = "third_party/libtorch",
        build_file = "//third_party:libtorch.BUILD",
    )
