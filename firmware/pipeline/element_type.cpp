#include "pipeline/element_type.h"

namespace hil {

// Not inline: a loop over it would be made once for each type.
int32_t RankAt(ElementType type, Bytes elements, size_t index) {
  switch (type) {
    case ElementType::kFloat32:
      return RankOfFloat(LoadElement<int32_t>(elements, index));
    case ElementType::kInt32:
      return LoadElement<int32_t>(elements, index);
    case ElementType::kUint8:
      return LoadElement<uint8_t>(elements, index);
    case ElementType::kInt16:
      return LoadElement<int16_t>(elements, index);
    case ElementType::kInt8:
      return LoadElement<int8_t>(elements, index);
  }
  return 0;
}

}  // namespace hil
