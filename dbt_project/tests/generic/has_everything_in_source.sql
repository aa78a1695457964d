{#- What the source still delivers has a row in the mart. `holds` tells the versions that hold now. -#}
{% test has_everything_in_source(model, of, id, holds="is_current") %}
select {{ id }}
from {{ of }}
where is_in_source and {{ holds }}
except
select {{ id }}
from {{ model }}
{% endtest %}
