#pragma once
#include <stdbool.h>
#include <zephyr/devicetree.h>
struct device {
  const char *name;
};
extern const struct device stand_in_uart;
#define DEVICE_DT_GET(node) (&stand_in_uart)
bool device_is_ready(const struct device *device);
