# microbit of qemu-system-arm.
CORE := -mcpu=cortex-m0 -mthumb -mfloat-abi=soft
SOURCES := startup cortex_m line uart_nrf51 self_test
CONSTANTS := TARGET='"microbit"' UART_BASE=0x40002000u UART_INTERRUPT=2u CLOCK_HZ=16000000u
FLASH := ORIGIN = 0x00000000, LENGTH = 256K
RAM := ORIGIN = 0x20000000, LENGTH = 16K
