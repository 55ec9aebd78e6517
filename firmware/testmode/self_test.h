// Shows the test mode's own instruments something that they must detect (docs/link.md, "Self-tests").
#pragma once

#include <cstdint>

#include "agent/hil_agent.h"
#include "pipeline/pipeline.h"

namespace hil {

// A loop of known length in each stage: `rounds` in invoke, an eighth of that in each of the others.
void SpinInStages(uint32_t rounds, StageObserver* observer);

// Sleeps `naps` times as an idle firmware does; gives the ticks that the clock counted.
uint32_t SleepOnTheClock(uint32_t naps);

// Reads the core's masks back while interrupts are masked.
void ReadBackWhileMasked(hil_record* record);

// Must end in a fault; returns where nothing guards.
void TouchBelowStack();
void ReadNull();
void WriteNull();
void ExecuteNull();

// What the core says of itself, where it can tell.
void ReadBackCore(hil_record* record);

}  // namespace hil
