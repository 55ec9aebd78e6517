// The application: starts the product, then serves the test mode.
#include "app/product.h"
#include "base/log.h"
#include "build_info.h"
#include "fault/fault_record.h"
#include "port/port.h"
#include "testmode/service.h"
#include "testmode/test_mode.h"

namespace hil {
namespace {

// Constant-initialised and never destroyed: both live as long as the power is on.
Product product;
TestMode test_mode;

}  // namespace

void AppMain() {
  Log("hil firmware " HIL_VERSION " on " HIL_TARGET "\n");
  progress.activity = Activity::kStart;
  port::WatchdogArm(0);  // a model that never finishes its setup is a fault, not silence
  product.Start(port::BundleRegion(), TestMode::Limits());
  port::WatchdogDisarm();

  StartService(test_mode.Observe(&product));

  // A shipped product would fetch a window from its sensor here and call
  // product.pipeline().Process(capture, window, nullptr); in test mode the windows come from the host.
  for (uint32_t polls = 0;; ++polls) {
    if (Serve()) {
      polls = 0;
    }
    port::Idle(polls);
  }
}

}  // namespace hil
