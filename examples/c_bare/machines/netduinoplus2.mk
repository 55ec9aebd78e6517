# netduinoplus2 of qemu-system-arm.
CORE := -mcpu=cortex-m4 -mthumb -mfloat-abi=soft
SOURCES := startup cortex_m line uart_stm32 self_test
CONSTANTS := TARGET='"netduinoplus2"' UART_BASE=0x40011000u UART_INTERRUPT=37u CLOCK_HZ=168000000u
FLASH := ORIGIN = 0x08000000, LENGTH = 256K
RAM := ORIGIN = 0x20000000, LENGTH = 64K
