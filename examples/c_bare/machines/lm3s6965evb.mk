# lm3s6965evb of qemu-system-arm.
CORE := -mcpu=cortex-m3 -mthumb -mfloat-abi=soft
SOURCES := startup cortex_m line uart_pl011 self_test
CONSTANTS := TARGET='"lm3s6965evb"' UART_BASE=0x4000C000u UART_INTERRUPT=5u CLOCK_HZ=12500000u
FLASH := ORIGIN = 0x00000000, LENGTH = 256K
RAM := ORIGIN = 0x20000000, LENGTH = 64K
