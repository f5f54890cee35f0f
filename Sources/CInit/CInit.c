#include "CInit.h"
