#!/usr/bin/env python3
"""What failure_model.py finds."""

import unittest

import failure_model

HEAD = "| failure | what happens | test |\n|---|---|---|\n"


def read(path):
    return {"a_test.cc": "TEST(ATest, Holds) {"}.get(path)


def problems(row):
    return [what for _, what in failure_model.check(HEAD + row, read)]


class FailureModelTest(unittest.TestCase):

    def test_a_test_that_is_there_is_good(self):
        self.assertEqual(problems("| a fire | it burns | `a_test.cc: Holds` |"),
                         [])

    def test_a_row_may_say_that_it_has_none(self):
        self.assertEqual(problems("| a fire | | no test yet |"), [])
        self.assertEqual(problems("| a fire | | no test yet: too hot |"), [])

    def test_a_test_that_is_not_there_is_named(self):
        self.assertEqual(problems("| a fire | | `a_test.cc: Hold` |"),
                         ["a_test.cc has no test Hold"])
        self.assertEqual(problems("| a fire | | `b_test.cc: Holds` |"),
                         ["there is no file b_test.cc"])

    def test_a_cell_that_names_nothing_is_refused(self):
        self.assertEqual(len(problems("| a fire | it burns | surely |")), 1)
        self.assertIn("a row has three cells",
                      problems("| a fire | it burns |"))

    def test_a_page_without_rows_is_refused(self):
        self.assertEqual(len(problems("")), 1)


if __name__ == "__main__":
    unittest.main()
