"""Each rule of tidy.py refuses what it should and lets the rest be."""

import unittest

import tidy


def found(rule, path, text):
    return [name for _, name, _ in rule(path, text.split("\n"))]


class TidyRules(unittest.TestCase):

    def test_arrows_point_downward_only(self):
        text = '#include "coordinator/core/state.h"'
        self.assertEqual(found(tidy.arrows, "schedule/ir/a.cc", text),
                         ["arrows"])
        self.assertEqual(found(tidy.arrows, "coordinator/core/a.cc", text), [])

    def test_stage_server_reads_ir_but_no_generator(self):
        self.assertEqual(
            found(tidy.arrows, "stage_server/engine/a.cc",
                  '#include "schedule/ir/action.h"'), [])
        self.assertEqual(
            found(tidy.arrows, "stage_server/engine/a.cc",
                  '#include "schedule/generators/gpipe.h"'), ["arrows"])

    def test_libtorch_and_grpc_stay_in_their_rooms(self):
        torch = "#include <ATen/core/Tensor.h>"
        self.assertEqual(
            found(tidy.restricted, "coordinator/core/a.cc", torch),
            ["restricted"])
        self.assertEqual(
            found(tidy.restricted, "models/layers/a.cc", torch), [])
        grpc = "#include <grpcpp/grpcpp.h>"
        self.assertEqual(
            found(tidy.restricted, "coordinator/core/a.cc", grpc),
            ["restricted"])
        self.assertEqual(
            found(tidy.restricted, "coordinator/service/a.cc", grpc), [])

    def test_pure_folders_have_no_clock(self):
        text = '#include "base/clock.h"'
        self.assertEqual(found(tidy.purity, "schedule/ir/a.cc", text),
                         ["purity"])
        self.assertEqual(found(tidy.purity, "client/a.cc", text), [])

    def test_unfinished_words_are_refused(self):
        word = "TO" + "DO"
        self.assertEqual(found(tidy.banned, "client/a.cc", f"// {word}: x"),
                         ["banned"])

    def test_tests_do_not_sleep(self):
        text = "absl::Sleep" + "For(absl::Seconds(1));"
        self.assertEqual(found(tidy.banned, "client/a_test.cc", text),
                         ["sleep"])

    def test_environment_is_read_in_mains_only(self):
        text = 'const char* home = getenv("HOME");'
        self.assertEqual(found(tidy.ambient, "client/a.cc", text), ["ambient"])
        self.assertEqual(
            found(tidy.ambient, "client/penstock_main.cc", text), [])

    def test_long_function_is_refused_and_one_of_70_is_not(self):
        def body(n):
            return "int f() {\n" + "  x();\n" * n + "}"
        self.assertEqual(found(tidy.functions, "client/a.cc", body(70)),
                         ["function"])
        self.assertEqual(found(tidy.functions, "client/a.cc", body(69)), [])

    def test_long_header_is_refused(self):
        self.assertEqual(found(tidy.sizes, "base/a.h", "\n" * 400), ["size"])
        self.assertEqual(found(tidy.sizes, "base/a.cc", "\n" * 400), [])

    def test_guard_is_the_path(self):
        self.assertEqual(
            found(tidy.header_guards, "base/a.h",
                  "#ifndef PENSTOCK_BASE_A_H_"), [])
        self.assertEqual(
            found(tidy.header_guards, "base/a.h", "#ifndef A_H"), ["guard"])


if __name__ == "__main__":
    unittest.main()
