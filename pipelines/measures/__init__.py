"""How good predictions are, by the measures of the field."""

from keras_recurrent.pipelines.measures.error_rate import (
    ErrorRates as ErrorRates,
)
from keras_recurrent.pipelines.measures.error_rate import (
    error_rates as error_rates,
)
from keras_recurrent.pipelines.measures.measure import Measure as Measure
from keras_recurrent.pipelines.measures.measure import Measured as Measured
from keras_recurrent.pipelines.measures.measure import Outputs as Outputs
from keras_recurrent.pipelines.measures.measures import (
    get_measure as get_measure,
)
from keras_recurrent.pipelines.measures.measures import (
    get_measures as get_measures,
)
