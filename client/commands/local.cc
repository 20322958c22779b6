#include "client/commands/command.h"

namespace penstock {

void AddLocal(Command app, CommandContext& context) {
  Command local =
      app.AddGroup("local", "A coordinator and stage servers on this machine",
                   {"penstock local run job.yaml --stages 2",
                    "penstock local up", "penstock local down"});
  AddLocalRun(local, context);
  AddLocalUp(local, context);
  AddLocalDown(local, context);
}

}  // namespace penstock
