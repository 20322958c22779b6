// Prints docs/state_machines.md.
#include <iostream>

#include "coordinator/core/job_machine.h"

int main() { std::cout << penstock::StateMachinesPage(); }
