#ifndef PENSTOCK_STAGE_SERVER_ENGINE_RUN_IDENTITY_H_
#define PENSTOCK_STAGE_SERVER_ENGINE_RUN_IDENTITY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/checkpoint.pb.h"
#include "proto/job.pb.h"

namespace penstock {

// What a resumed run must have in common with the one that it goes on from, so
// that its bits are those of a run that was never interrupted.

// "2.11.0": of the libtorch that computes.
std::string TorchVersion();

// For the rank's thread, once it is prepared: "libtorch 2.11.0, cpu AVX2,
// oneDNN on, threads 1" (of `threads: auto` no number).
std::string NumericsId(const Job& job);

// sha256, hexadecimal, of the data that the job trains on: the tokens; of data
// that is made up, its kind and seed. Of a token file beyond 256 MiB only its
// size and 256 pieces of 1 MiB, evenly spread, with both its ends.
//   as MappedFile::Open.
absl::StatusOr<std::string> DatasetFingerprint(const Job& job,
                                               const std::string& data_kind);

// What a rank has found of both; empty where it is not known.
struct RunIdentity {
  std::string dataset_fingerprint;
  std::string numerics_id;
};

// FAILED_PRECONDITION where one that is known on both sides has changed since
// `then` and `start` does not allow it; says what, and which key would. Pure.
absl::Status CheckSameRun(const RunIdentity& now, const TrainState& then,
                          const StartSpec& start);

}  // namespace penstock

#endif  // PENSTOCK_STAGE_SERVER_ENGINE_RUN_IDENTITY_H_
