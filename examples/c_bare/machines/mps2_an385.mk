# mps2-an385 of qemu-system-arm.
CORE := -mcpu=cortex-m3 -mthumb -mfloat-abi=soft
SOURCES := startup cortex_m line uart_cmsdk self_test
CONSTANTS := TARGET='"mps2-an385"' UART_BASE=0x40004000u UART_INTERRUPT=0u CLOCK_HZ=25000000u
FLASH := ORIGIN = 0x00000000, LENGTH = 256K
RAM := ORIGIN = 0x20000000, LENGTH = 64K
