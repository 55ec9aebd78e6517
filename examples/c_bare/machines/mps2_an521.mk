# mps2-an521 of qemu-system-arm.
CORE := -mcpu=cortex-m33 -mthumb -mfloat-abi=soft
SOURCES := startup cortex_m line uart_cmsdk self_test
CONSTANTS := TARGET='"mps2-an521"' UART_BASE=0x50200000u UART_INTERRUPT=32u CLOCK_HZ=20000000u
FLASH := ORIGIN = 0x10000000, LENGTH = 256K
RAM := ORIGIN = 0x38000000, LENGTH = 64K
