{#-
  Every invoice counts once for each manager above the employee: as often as the employee stands levels below the top.
  Fails with the two figures.
-#}
{% test revenue_counts_for_each_manager(model) %}
with
mart as (select coalesce(sum(revenue), 0) as total from {{ model }}),
invoices as (
    select coalesce(sum(invoices.total * employees.manager_level), 0) as total
    from {{ source("chinook_dw", "fact_invoice") }} as invoices
    join {{ source("chinook_dw", "dim_employee") }} as employees using (employee_key)
)
select mart.total as mart_total, invoices.total as invoices_total
from mart, invoices
where mart.total <> invoices.total
{% endtest %}
