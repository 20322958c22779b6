#ifndef PENSTOCK_BASE_STATUS_MACROS_H_
#define PENSTOCK_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the enclosing function when `expression` is an error.
#define PENSTOCK_RETURN_IF_ERROR(expression)                                  \
  do {                                                                        \
    if (absl::Status penstock_status = (expression); !penstock_status.ok()) { \
      return penstock_status;                                                 \
    }                                                                         \
  } while (false)

#define PENSTOCK_CONCAT_INNER(a, b) a##b
#define PENSTOCK_CONCAT(a, b) PENSTOCK_CONCAT_INNER(a, b)

// PENSTOCK_ASSIGN_OR_RETURN(const Plan plan, MakePlan(job)): declares or
// assigns the value, or returns the error.
#define PENSTOCK_ASSIGN_OR_RETURN(lhs, expression) \
  PENSTOCK_ASSIGN_OR_RETURN_IMPL(                  \
      PENSTOCK_CONCAT(penstock_statusor_, __LINE__), lhs, expression)

#define PENSTOCK_ASSIGN_OR_RETURN_IMPL(statusor, lhs, expression) \
  auto statusor = (expression);                                   \
  if (!statusor.ok()) return std::move(statusor).status();        \
  lhs = *std::move(statusor)

#endif  // PENSTOCK_BASE_STATUS_MACROS_H_
